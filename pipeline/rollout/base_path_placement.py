"""The latest roll-out for one replica: servers take the highest version below the base path, which follows the journal.

A folder that appears there is loaded and gets the traffic at once; removing it takes the traffic back. Every published
version is kept where no server looks. The replicas of the first ring have a base path of their own.
"""

from collections.abc import Sequence

from pipeline.deployment import RolloutName
from pipeline.errors import FirstRingError, StorageError
from pipeline.journal.history import History
from pipeline.journal.state import State, newest
from pipeline.rollout import config
from pipeline.rollout.base_path import BasePath
from pipeline.rollout.wait_result import ReplicaState, described
from serving.replica import Replica


class BasePathPlacement:
    """The copies below the base path. For what each method does see `pipeline.rollout.placement.Placement`."""

    name: RolloutName = "latest"
    label = None

    def __init__(
        self,
        model: str,
        *,
        everywhere: BasePath,
        base_path: str,
        first_ring: BasePath | None = None,
        first_ring_base_path: str = "",
    ) -> None:
        """Nothing is read yet.

        Args:
            model: the name of the model.
            everywhere: the copies for all replicas but those of the first ring.
            base_path: where these replicas find them.
            first_ring: the copies for the first ring; None if there is none.
            first_ring_base_path: where its replicas find them.
        """
        self.base_path = base_path
        self._model = model
        self._first_ring_base_path = first_ring_base_path
        self._first_ring, self._everywhere = first_ring, everywhere
        self._folders = (*([first_ring] if first_ring else []), everywhere)

    def without_bucket(self, addresses: Sequence[str]) -> str:  # noqa: ARG002 - see the docstring of `Placement`
        return ""

    def in_memory(self, state: State, *, first_ring: bool = False) -> tuple[int, ...]:
        top = newest(state, first_ring=first_ring)
        return (top,) if top is not None else ()

    def answering(self, state: State, *, first_ring: bool = False) -> int | None:
        return newest(state, first_ring=first_ring)

    def rendered(self, history: History, *, first_ring: bool = False) -> str:
        base_path = self._first_ring_base_path if first_ring else self.base_path
        return config.render_latest(model=self._model, base_path=base_path, seq=history.seq)

    def followed(self, replica: Replica, version: int) -> ReplicaState:
        behind = replica.version_behind(self._model, None)
        message = f"answers {'nothing' if behind is None else f'v{behind}'}"
        status = replica.status(self._model, version) if behind != version else None
        if status is None:
            return ReplicaState(replica.address, ready=behind == version, message=message)
        return ReplicaState(
            replica.address, ready=False, message=f"{message}, {described(version, status)}", failed=status.failed
        )

    def follow_seconds(self, *, follow: float, load: float) -> float:
        return follow + load

    def may_not_listen(self, state: State) -> bool:
        """Whether nothing should be in memory: a server that starts on an empty base path opens no port."""
        return not self.in_memory(state)

    def needs_config(self, replica: Replica, state: State, history: History) -> bool:  # noqa: ARG002 - see `heal`
        return False

    def heal(self, replica: Replica, state: State) -> str | None:  # noqa: ARG002 - see `run_rules.reissue`
        """Do nothing: a server that polls a base path needs a new number, see `pipeline.rules.run.reissue`."""
        return None

    def place(self, history: History) -> StorageError | None:
        raised: StorageError | None = None
        in_ring: StorageError | None = None
        if self._first_ring is not None:
            try:
                in_ring = self._first_ring.place(history)
            except StorageError as error:  # the other replicas must not miss a roll-back because of it
                raised = error
        everywhere = self._everywhere.place(history)
        if raised is not None:
            raise FirstRingError(str(raised)) from raised
        return in_ring or everywhere

    def problems(self, history: History) -> list[str]:
        return [sentence for folder in self._folders for sentence in folder.problems(history)]
