"""How servers learn what to serve: what differs between the two roll-outs for one replica. Everything else is the same.

The replicas of the first ring have a config or a base path of their own. `first_ring` always means: for these, and not
for all others.

`pinned`: servers poll a config that names versions and puts a label on the serving one.
`latest`: servers poll a base path and take the highest number, as TensorFlow Serving does by default.
"""

from collections.abc import Sequence
from typing import Protocol

from pipeline.deployment import RolloutName
from pipeline.errors import StorageError
from pipeline.journal.history import History
from pipeline.journal.state import State
from pipeline.rollout.wait_result import ReplicaState
from serving.replica import Replica


class Placement(Protocol):
    """What the servers of one model find in one roll-out, and which versions they load because of it.

    Attributes:
        name: the roll-out, as in the fleet record.
        label: the label that traffic asks for; None if requests name no version.
        base_path: where servers find the versions. In the latest roll-out those of the first ring look elsewhere.
    """

    @property
    def name(self) -> RolloutName: ...

    @property
    def label(self) -> str | None: ...

    @property
    def base_path(self) -> str: ...

    def without_bucket(self, addresses: Sequence[str]) -> str:
        """What a person can do while neither verbs nor replicas can read the bucket, as the end of a sentence.

        Empty if nothing can be done. `addresses` are those of the replicas.
        """

    def in_memory(self, state: State, *, first_ring: bool = False) -> tuple[int, ...]:
        """The versions that every replica should hold, in ascending order."""

    def answering(self, state: State, *, first_ring: bool = False) -> int | None:
        """The version that should get the traffic. In the latest roll-out that is the candidate while it is proven."""

    def rendered(self, history: History, *, first_ring: bool = False) -> str:
        """The config that the bucket should hold."""

    def place(self, history: History) -> StorageError | None:
        """Make what servers find, except the config, agree with the journal.

        Returns:
            Why the version that should answer cannot be found by servers, for example because the disk is full; None if
            it can. It is returned, not raised: a verb may still decide for another version, or make room.

        Raises:
            FirstRingError: so it is in what the first ring reads; what all others read agrees.
            StorageError: the bucket refused; or it holds a version that the journal does not know.
        """

    def problems(self, history: History) -> list[str]:
        """What servers find, except the config, and should not, or the other way round; each with what to do."""

    def followed(self, replica: Replica, version: int) -> ReplicaState:
        """Whether traffic gets `version` on a replica.

        Raises:
            ServingError: the replica does not answer.
        """

    def follow_seconds(self, *, follow: float, load: float) -> float:
        """The seconds until traffic must get a version: `follow`, plus `load` if it is loaded only then."""

    def may_not_listen(self, state: State) -> bool:
        """Whether a server has nothing to serve in this state and therefore may not have opened its port."""

    def needs_config(self, replica: Replica, state: State, history: History) -> bool:
        """Whether a replica can only follow if a config is sent to it. False if its server uses the other roll-out.

        Raises:
            ServingError: the replica does not answer.
        """

    def heal(self, replica: Replica, state: State) -> str | None:
        """Repair a replica that cannot follow by itself; a sentence on what was done, or None.

        Raises:
            ServingError: the replica does not answer, or refused this too.
        """
