"""Releases that were cut off, and what somebody finds who comes later."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pipeline.clock import SystemClock
from pipeline.context import RunContext, make_run_context, open_ports
from pipeline.rules import run as run_rules
from pipeline.rules.rollback import RollbackRequest, next_step
from pipeline.runs.records import CanaryRecord
from pipeline.tracking.registry import Mlflow
from tests.mlflow_registry import MlflowRegistry
from tests.releases import MODEL, World

HOURS = 2


@dataclass(frozen=True)
class Later(SystemClock):
    """The clock of somebody who comes hours after the others; waiting takes as long as ever."""

    hours: float

    def now(self) -> datetime:
        return super().now() + timedelta(hours=self.hours)


def registry() -> MlflowRegistry:
    """An MLflow that keeps the runs of a `World`, none of which has a name there."""
    made = MlflowRegistry()
    made.runs[""] = {}
    return made


def coming(
    world: World, run_key: str = "reconcile-1", *, hours: float = 0, mlflow: MlflowRegistry | None = None
) -> RunContext:
    """Whoever comes now, or hours later, when those who began something have gone."""
    settings = world.context(run_key).settings
    ports = replace(open_ports(settings), clock=Later(hours))
    if mlflow is not None:
        ports = replace(ports, mlflow=Mlflow("http://mlflow", mlflow.transport))
    return make_run_context(settings, model=MODEL, run_key=run_key, ports=ports)


def begin_promotion(world: World, run_key: str) -> None:
    """The entry of a promotion, and a process that ends there."""
    context = world.context(run_key)
    verdict = context.records.require(CanaryRecord).verdict
    serving = world.history().state.serving
    version = world.history().version_of(run_key)
    assert verdict is not None
    assert version is not None
    context.journal.decide(
        lambda history: run_rules.promote(history, version=version, compared_with=serving, verdict=verdict)
    )


def begin_roll_back(world: World, to: int, *, loaded: bool, run_key: str = "rollback-5") -> None:
    """The next entry of a roll-back, and a process that ends there."""
    request = RollbackRequest(run_key, str(to), "it is bad", world.history().seq)
    world.context(run_key).journal.decide(lambda history: next_step(history, request=request, target=to, loaded=loaded))
