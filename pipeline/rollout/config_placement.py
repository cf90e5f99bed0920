"""The pinned roll-out for one replica: a config names the versions in memory and puts the label on one of them."""

from collections.abc import Sequence

from pipeline.deployment import RolloutName
from pipeline.journal.entries import Event
from pipeline.journal.history import History
from pipeline.journal.state import State, resident
from pipeline.rollout import config
from pipeline.rollout.healing import heal_if_stuck
from pipeline.rollout.wait_result import ReplicaState
from serving.replica import STABLE, Replica


class ConfigPlacement:
    """The config that servers poll. For what each method does see `pipeline.rollout.placement.Placement`."""

    name: RolloutName = "pinned"
    label = STABLE

    def __init__(self, model: str, base_path: str) -> None:
        self._model = model
        self.base_path = base_path

    def without_bucket(self, addresses: Sequence[str]) -> str:
        replicas = f"UNDERSTUDY_REPLICAS={','.join(addresses)} "
        return (
            f". If the replicas cannot read it either, this moves the label: `{replicas}understudy rollback --model "
            f"<model> --without-bucket --to NUMBER`. It always ends with exit code 75, because the move is not recorded"
        )

    def in_memory(self, state: State, *, first_ring: bool = False) -> tuple[int, ...]:
        return resident(state, first_ring=first_ring)

    def answering(self, state: State, *, first_ring: bool = False) -> int | None:  # noqa: ARG002 - candidates are dark
        return state.serving

    def rendered(self, history: History, *, first_ring: bool = False) -> str:
        return config.render(
            model=self._model,
            base_path=self.base_path,
            state=history.state,
            seq=history.seq,
            first_ring=first_ring,
        )

    def place(self, history: History) -> None:
        """Do nothing: servers look at the config only."""

    def problems(self, history: History) -> list[str]:  # noqa: ARG002 - the config says it all
        return []

    def followed(self, replica: Replica, version: int) -> ReplicaState:
        behind = replica.version_behind(self._model, STABLE)
        answers = "nothing" if behind is None else f"v{behind}"
        return ReplicaState(replica.address, ready=behind == version, message=f"the label answers {answers}")

    def follow_seconds(self, *, follow: float, load: float) -> float:  # noqa: ARG002 - it is in memory already
        return follow

    def may_not_listen(self, state: State) -> bool:  # noqa: ARG002 - a server with a config always listens
        return False

    def needs_config(self, replica: Replica, state: State, history: History) -> bool:
        if state.serving is None or self._has_another_roll_out(replica, history):
            return False
        status = replica.status(self._model, state.serving)
        return status is None or status.ended

    def _has_another_roll_out(self, replica: Replica, history: History) -> bool:
        """Whether it has versions and no label. Every replica of this fleet has the label since its first release."""
        if history.newest(Event.CONFIRMED) is None or replica.version_behind(self._model, STABLE) is not None:
            return False
        return any(each.available for each in replica.statuses(self._model))

    def heal(self, replica: Replica, state: State) -> str | None:
        if state.serving is None:
            return None
        return heal_if_stuck(replica, model=self._model, base_path=self.base_path, serving=state.serving)
