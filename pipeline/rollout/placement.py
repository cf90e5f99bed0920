"""How servers learn what to serve: what differs between the two roll-outs for one replica. All else is the same.

`pinned`: they poll a config that names versions and puts a label on the one that serves.
`latest`: they poll a base path and take the highest number, as TensorFlow Serving does out of the box.
"""

from typing import Protocol

from pipeline.errors import StorageError
from pipeline.journal.history import History
from pipeline.journal.state import State
from pipeline.rollout.waiting import ReplicaState
from pipeline.settings import RolloutName
from serving.replica import Replica


class Placement(Protocol):
    """What servers of one model find in one roll-out, and what that makes them do.

    Attributes:
        name: the roll-out, as people set it.
        label: what traffic asks for; None where it asks for no version at all.
        base_path: where servers find the versions.
        without_bucket: what can be done while neither verbs nor replicas can read the bucket; empty where nothing can.
    """

    @property
    def name(self) -> RolloutName: ...

    @property
    def label(self) -> str | None: ...

    @property
    def base_path(self) -> str: ...

    @property
    def without_bucket(self) -> str: ...

    def in_memory(self, state: State) -> tuple[int, ...]:
        """The versions every replica should hold, in ascending order."""

    def answering(self, state: State) -> int | None:
        """The version that traffic should get; the candidate where it is not dark while it is proven."""

    def rendered(self, history: History) -> str:
        """The config that should lie in the bucket."""

    def place(self, history: History) -> StorageError | None:
        """Make what servers find, beside the config, agree with the journal.

        Returns:
            What keeps the version that should answer from being found, as a full disk does. It bars nobody from
            deciding for another version, or from making room.

        Raises:
            StorageError: the bucket refused; or it holds a version that the journal knows nothing of.
        """

    def problems(self, history: History) -> list[str]:
        """What is otherwise, beside the config, than it should be; each with what to do."""

    def followed(self, replica: Replica, version: int) -> ReplicaState:
        """Whether traffic gets `version` on a replica.

        Raises:
            ServingError: the replica does not answer.
        """

    def follow_seconds(self, *, follow: float, load: float) -> float:
        """The seconds until traffic must get a version: `follow`, and `load` where it is loaded only then."""

    def may_not_listen(self, state: State) -> bool:
        """Whether a server that has nothing to serve in this state opens no port."""

    def needs_config(self, replica: Replica, state: State, history: History) -> bool:
        """Whether a replica is neither on its way by itself, nor of a roll-out in which nothing is handed over.

        Raises:
            ServingError: the replica does not answer.
        """

    def heal(self, replica: Replica, state: State) -> str | None:
        """Help a replica that cannot follow by itself; what was done, or None.

        Raises:
            ServingError: the replica does not answer, or refused even this.
        """
