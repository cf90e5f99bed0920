"""What the demo's story is told with: the running stack, as the person in front of it sees and uses it."""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from embedded.airflow_api import AirflowApi, Tasks
from embedded.errors import StackError
from embedded.settings import PROJECT, StackSettings
from pipeline import layout
from pipeline.context import RunContext, make_run_context
from pipeline.journal.entries import Entry, Event
from pipeline.journal.history import History
from pipeline.runs.records import CanaryRecord, EvaluateRecord, ProbeSet
from pipeline.runs.run_records import RunRecords
from pipeline.settings import Settings

RUN_SECONDS = 600.0


@dataclass(frozen=True)
class Scene:
    """One line of the table: what was to happen, whether it did, and what was measured."""

    name: str
    held: bool
    told: str


@dataclass(frozen=True)
class Run:
    """A DAG run that is over."""

    id: str
    state: str
    seconds: float
    entries: list[Entry]

    def entry(self, event: Event) -> Entry | None:
        """The first of this kind that the journal got while the run ran."""
        return next((entry for entry in self.entries if entry.event is event), None)


@dataclass
class Stage:
    settings: StackSettings
    api: AirflowApi
    context: RunContext
    scenes: list[Scene] = field(default_factory=list)

    @property
    def retrain_dag(self) -> str:
        return f"retrain_{self.settings.model}"

    @property
    def poll_seconds(self) -> float:
        return self.context.settings.config_poll_seconds

    def scene(self, name: str, *, held: bool, told: str) -> None:
        self.scenes.append(Scene(name, held, told))
        say(f"{'   ok' if held else 'WRONG'}: {name}: {told}")

    def history(self) -> History:
        return self.context.journal.read()

    def run(self, dag: str, conf: dict[str, Any], *, meanwhile: Callable[[], None] = lambda: None) -> Run:
        """Trigger a run as a person would, and wait until it is over."""
        before, began = self.history().seq, time.monotonic()
        run_id = self.api.trigger(dag, conf)
        say(f"{dag} is triggered with {conf}")
        meanwhile()
        state = self.api.wait(dag, run_id, seconds=RUN_SECONDS, on_change=_progress)
        entries = [entry for entry in self.history().entries if entry.seq > before]
        return Run(run_id, state, time.monotonic() - began, entries)

    def await_entry(self, event: Event) -> Entry:
        """The next journal entry of this kind, within milliseconds of its being written.

        Raises:
            StackError: it did not come.
        """
        seen, deadline = self.history().seq, time.monotonic() + RUN_SECONDS
        while time.monotonic() < deadline:
            for entry in self.history().entries[seen:]:
                if entry.event is event:
                    return entry
            time.sleep(0.02)
        raise StackError(f"the journal got no {event} within {RUN_SECONDS:.0f} s; see {self.settings.logs}")

    def first_version(self) -> int | None:
        """The first version that ever served; 1, unless something went wrong before anything went right."""
        return next((entry.version for entry in self.history().entries if entry.event is Event.PROMOTED), None)

    def path(self, key: str) -> Path:
        """Where in the bucket something lies."""
        return Path(self.context.bucket.uri(key))

    def load_seconds(self, version: int) -> float:
        """How long a version took to load when it was proven; the longest there was, where it was not."""
        history, known = self.history(), dict[int, float]()
        for each in range(1, history.state.next_version):
            records = self.context.records_of(each, history)
            proven = records.find(CanaryRecord) if records else None
            if proven:
                known[each] = proven.load_seconds or 0.0
        return known.get(version, max(known.values(), default=0.0))

    def accuracy(self, version: int | None) -> float:
        """Of a version on the held-out images, as its run measured it."""
        return self._records(version).need(EvaluateRecord).evaluation.candidate.accuracy

    def probes(self, version: int) -> ProbeSet:
        return self._records(version).need(ProbeSet)

    def newest_retrain(self) -> RunRecords:
        """The records of the latest retrain: its key is the largest, because a key begins with the time."""
        model, bucket = self.settings.model, self.context.bucket
        keys = [key for key in bucket.names(layout.runs(model)) if key.startswith("retrain-")]
        return RunRecords(bucket, model, max(keys))

    def _records(self, version: int | None) -> RunRecords:
        records = self.context.records_of(version, self.history()) if version is not None else None
        if records is None:
            raise StackError(f"no run has claimed version {version} of {self.settings.model}")
        return records


def set_up(settings: StackSettings) -> Stage:
    """The stage, with the DAGs read by Airflow and switched on."""
    api = AirflowApi.of_stack(settings)
    surroundings = Settings(
        root=str(settings.bucket),
        models=settings.models,
        replicas=",".join(settings.replicas),
        rollout=settings.rollout,
        mlflow_url=settings.mlflow_url,
        actor="demo",
    )
    context = make_run_context(surroundings, model=settings.model, run_key=f"demo-{datetime.now(UTC):%Y%m%d%H%M%S}")
    stage = Stage(settings, api, context)
    for dag in (stage.retrain_dag, "rollback", "unfreeze"):
        api.wait_for_dag(dag)
        api.unpause(dag)
    return stage


class Damager:
    """A process that stands ready to damage a model in the moment it is told to."""

    def __init__(self, log: Path) -> None:
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "embedded.damage"],
                cwd=PROJECT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._log = log

    def damage(self, folder: Path, *, where: Path, when: Path) -> None:
        """Damage the model, in the folder `where`, as soon as the file `when` is there.

        Raises:
            StackError: it could not be done.
        """
        asked, answers = self._process.stdin, self._process.stdout
        assert asked is not None, "the process was started with pipes"
        assert answers is not None
        answers.readline()  # it is ready
        asked.write(f"{folder}\n{where}\n{when}\n")
        asked.flush()
        changed = answers.readline().strip()
        if self._process.wait() != 0 or not changed:
            raise StackError(f"{where} could not be damaged; see {self._log}")


def say(text: str) -> None:
    Console().print(Text(f"{datetime.now(UTC):%H:%M:%S} {text}"), soft_wrap=True)


def _progress(tasks: Tasks) -> None:
    told = [f"{task} {state}" for task, state in tasks.items() if state in ("running", "failed", "skipped")]
    if told:
        say("      " + ", ".join(told))
