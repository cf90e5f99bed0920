"""The running stack as the demo uses it: trigger DAG runs, and read the journal and the records of runs."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from embedded.airflow_api import AirflowApi, Tasks
from embedded.demo.report import print_line
from embedded.errors import StackError
from embedded.local_fleet import LocalFleet
from embedded.settings import StackSettings
from pipeline import layout
from pipeline.context import RunContext, make_run_context
from pipeline.journal.entries import Entry, Event
from pipeline.journal.history import History
from pipeline.runs.records import CanaryRecord, EvaluateRecord, ProbeSet
from pipeline.runs.run_records import RunRecords
from pipeline.settings import Settings

# The model of the demo: its images come with the project.
MODEL = "digits"
RUN_SECONDS = 600.0


@dataclass(frozen=True)
class FinishedRun:
    """A DAG run that has ended, and the journal entries written while it ran."""

    id: str
    state: str
    seconds: float
    entries: list[Entry]

    def entry(self, event: Event) -> Entry | None:
        """The first of its entries with this event."""
        return next((entry for entry in self.entries if entry.event is event), None)


@dataclass(frozen=True)
class RunningStack:
    """Every method may raise AirflowError, or an error of the pipeline where the bucket cannot be read."""

    settings: StackSettings
    fleet: LocalFleet
    api: AirflowApi
    context: RunContext

    @property
    def model(self) -> str:
        return self.fleet.model

    @property
    def retrain_dag(self) -> str:
        return f"retrain_{self.model}"

    @property
    def poll_seconds(self) -> float:
        return self.context.fleet.config_poll_seconds

    @property
    def first_ring(self) -> frozenset[str]:
        """The addresses of the replicas that load a candidate first; none if the fleet has no first ring."""
        ring = self.context.replicas.first_ring
        return frozenset(ring.addresses()) if ring else frozenset()

    def history(self) -> History:
        """The journal as it is now."""
        return self.context.journal.read()

    def run(self, dag: str, conf: dict[str, Any], *, meanwhile: Callable[[], None] = lambda: None) -> FinishedRun:
        """Trigger a DAG run with the values of its form, call `meanwhile`, and wait until the run has ended.

        Raises:
            AirflowError: the run could not be triggered, or has not ended within `RUN_SECONDS`.
        """
        before, began = self.history().seq, time.monotonic()
        run_id = self.api.trigger(dag, conf)
        print_line(f"{dag} is triggered with {conf}")
        meanwhile()
        state = self.api.wait(dag, run_id, seconds=RUN_SECONDS, on_change=_print_tasks)
        entries = self.history().after(before)
        return FinishedRun(run_id, state, time.monotonic() - began, entries)

    def wait_for_entry(self, event: Event) -> Entry:
        """Return the next journal entry with this event, within milliseconds after it was written.

        Raises:
            StackError: there was none within `RUN_SECONDS`.
        """
        seen, deadline = self.history().seq, time.monotonic() + RUN_SECONDS
        while time.monotonic() < deadline:
            for entry in self.history().after(seen):
                if entry.event is event:
                    return entry
            time.sleep(0.02)
        raise StackError(f"the journal got no {event} within {RUN_SECONDS:.0f} s; see {self.settings.logs}")

    def first_version(self) -> int | None:
        """The first version that was ever promoted; None before the first release."""
        return next((entry.version for entry in self.history().all() if entry.event is Event.PROMOTED), None)

    def path(self, key: str) -> Path:
        """The file or folder of a key of the bucket."""
        return Path(self.context.bucket.uri(key))

    def load_seconds(self, version: int) -> float:
        """How long the canary of a version saw it load; without a canary record the longest load of any version."""
        history, known = self.history(), dict[int, float]()
        for each in range(1, history.state.next_version):
            records = self.context.records_of(each, history)
            canary = records.find(CanaryRecord) if records else None
            if canary:
                known[each] = canary.load_seconds or 0.0
        return known.get(version, max(known.values(), default=0.0))

    def accuracy(self, version: int | None) -> float:
        """The accuracy of a version on the held-out images, as its run measured it.

        Raises:
            StackError: no run has claimed this version.
        """
        return self._records(version).require(EvaluateRecord).evaluation.candidate.accuracy

    def probes(self, version: int | None) -> ProbeSet:
        """The images, with expected answers, that the canary of a version used.

        Raises:
            StackError: no run has claimed this version.
        """
        return self._records(version).require(ProbeSet)

    def newest_retrain(self) -> RunRecords:
        """The records of the latest retrain: its key is the largest, because a key begins with the time."""
        model, bucket = self.model, self.context.bucket
        keys = [key for key in bucket.names(layout.runs(model)) if key.startswith("retrain-")]
        return RunRecords(bucket, model, max(keys))

    def _records(self, version: int | None) -> RunRecords:
        records = self.context.records_of(version, self.history()) if version is not None else None
        if records is None:
            raise StackError(f"no run has claimed version {version} of {self.model}")
        return records


def connect(settings: StackSettings) -> RunningStack:
    """Connect to a stack that is up, wait until Airflow has read the DAGs of the demo, and unpause them.

    Raises:
        StackError: the stack has no replicas of the model.
        AirflowError: Airflow does not answer, or has no such DAG.
    """
    fleet = next((each for each in settings.fleets if each.model == MODEL), None)
    if fleet is None:
        raise StackError(
            f"the demo uses the model {MODEL}, which has no replicas. Put {MODEL}.yaml into {settings.models}, then "
            f"run `{settings.command('down')}` and `{settings.command('demo')}`"
        )
    api = AirflowApi.of_stack(settings)
    run_key = f"demo-{datetime.now(UTC):%Y%m%d%H%M%S}"
    context = make_run_context(_pipeline_settings(settings), model=MODEL, run_key=run_key)
    stack = RunningStack(settings, fleet, api, context)
    for dag in (stack.retrain_dag, "rollback", "unfreeze"):
        api.wait_for_dag(dag)
        api.unpause(dag)
    return stack


def _pipeline_settings(settings: StackSettings) -> Settings:
    # Another prefix: variables such as UNDERSTUDY_REPLICAS, set for another use, must not override the fleet record.
    return Settings(_env_prefix="UNDERSTUDY_DEMO_", root=str(settings.bucket), models=settings.models, actor="demo")


def _print_tasks(tasks: Tasks) -> None:
    shown = [f"{task} {state}" for task, state in tasks.items() if state in ("running", "failed", "skipped")]
    if shown:
        print_line("      " + ", ".join(shown))
