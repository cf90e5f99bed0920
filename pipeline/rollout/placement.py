"""How servers learn what to serve: the two roll-outs, and what differs between them. All else is the same for both.

`pinned`: they poll a config that names versions and puts a label on the one that serves.
`latest`: they poll a base path and take the highest number, as TensorFlow Serving does out of the box.
"""

from typing import Protocol

from pipeline.errors import StorageError
from pipeline.journal.history import History
from pipeline.journal.state import State, resident
from pipeline.rollout import config
from pipeline.rollout.healing import heal_if_stuck
from pipeline.settings import RolloutName
from serving.replica import STABLE, Replica


class Placement(Protocol):
    """One roll-out of one model.

    Attributes:
        name: as people set it.
        label: what traffic asks for; None where it asks for no version at all.
        base_path: where servers find the versions.
        dark: whether a version is in memory, and proven, before any user reaches it.
    """

    @property
    def name(self) -> RolloutName: ...

    @property
    def label(self) -> str | None: ...

    @property
    def base_path(self) -> str: ...

    @property
    def dark(self) -> bool: ...

    def in_memory(self, state: State) -> tuple[int, ...]:
        """The versions every replica should hold, in ascending order."""

    def answering(self, state: State) -> int | None:
        """The version that traffic should get."""

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

    def heal(self, replica: Replica, state: State) -> str | None:
        """Help a replica that cannot follow by itself; what was done, or None.

        Raises:
            ServingError: the replica does not answer, or refused even this.
        """


class Pinned:
    """See `Placement`."""

    name: RolloutName = "pinned"
    label = STABLE
    dark = True

    def __init__(self, model: str, base_path: str) -> None:
        self._model = model
        self.base_path = base_path

    def in_memory(self, state: State) -> tuple[int, ...]:
        return resident(state)

    def answering(self, state: State) -> int | None:
        return state.serving

    def rendered(self, history: History) -> str:
        return config.render(model=self._model, base_path=self.base_path, state=history.state, seq=history.seq)

    def place(self, history: History) -> None:
        """There is nothing else that servers look at."""

    def problems(self, history: History) -> list[str]:  # noqa: ARG002 - the config says it all
        return []

    def heal(self, replica: Replica, state: State) -> str | None:
        if state.serving is None:
            return None
        return heal_if_stuck(replica, model=self._model, base_path=self.base_path, serving=state.serving)
