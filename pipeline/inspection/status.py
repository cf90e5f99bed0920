"""Which version serves, and where the journal, the config, the files, the replicas and MLflow disagree."""

from dataclasses import dataclass
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from pipeline.errors import StorageError
from pipeline.inspection.differences import of_replica, roles
from pipeline.inspection.findings import Findings
from pipeline.inspection.first_ring import being_tested, named
from pipeline.inspection.history import MOMENT, visible
from pipeline.journal.config_header import rendered_entry
from pipeline.journal.entries import Entry
from pipeline.journal.periods import Period, served
from pipeline.journal.state import State
from pipeline.rollout.replicas import ReplicaFound
from pipeline.rules.holds import Hold, active_holds, how_to_lift
from pipeline.tracking.aliases import MlflowFound
from serving.replica import VersionStatus


@dataclass(frozen=True)
class Status:
    """What was found. `differences` is empty where everything agrees; each says what to do.

    `under_way` is what a verb, a replica or a person may be doing at this moment, which is not a difference. `notes`
    need no action. `serving` says since when the serving version serves, who moved traffic to it, and why; None if
    nothing serves, or if that is not known. `proving` is the entry by which an active run has exposed its candidate;
    None if there is none. `holds` are in force now.
    """

    found: Findings
    differences: list[str]
    under_way: list[str]
    notes: list[str]
    serving: Period | None
    proving: Entry | None
    holds: list[Hold]

    @property
    def state(self) -> State | None:
        """The state after the last entry; None if the bucket gave no answer."""
        return self.found.bucket.history.state if self.found.bucket else None

    @property
    def entry(self) -> int | None:
        """The number of the last entry; None if the bucket gave no answer."""
        return self.found.bucket.history.seq if self.found.bucket else None

    @property
    def config_entries(self) -> dict[str, int | None]:
        """The number of the entry that each config renders, by its key in the bucket; None if it is not ours."""
        configs = self.found.bucket.configs if self.found.bucket else {}
        return {key: rendered_entry(text or "") for key, text in configs.items()}

    @property
    def config_entry(self) -> int | None:
        """The older one of these; None if there is none."""
        return min((entry for entry in self.config_entries.values() if entry is not None), default=None)

    def as_json(self) -> dict[str, Any]:
        """The same for programs; moments are ISO 8601 in UTC."""
        return {
            "model": self.found.model,
            "rollout": self.found.placement.name,
            "fleet_record": self.found.fleet_record,
            "agrees": not self.differences,
            "state": self.state.model_dump(mode="json") if self.state else None,
            "holds": [hold.as_json() for hold in self.holds],
            "serving": self.serving.model_dump(mode="json") if self.serving else None,
            "proving": self._proving_as_json(),
            "entry": self.entry,
            "config_entry": self.config_entry,
            "config_entries": self.config_entries,
            "replicas": [_replica_as_json(replica) for replica in self.found.replicas],
            "mlflow": self.found.mlflow.aliases if self.found.mlflow else None,
            "under_way": self.under_way,
            "notes": self.notes,
            "differences": self.differences,
        }

    def _proving_as_json(self) -> dict[str, Any] | None:
        entry = self.proving
        if entry is None:
            return None
        return {
            "version": entry.version,
            "run_key": entry.run_key,
            "since": entry.at.isoformat(),
            "first_ring_only": entry.state.first_ring_only,
        }


def serving_period(found: Findings) -> Period | None:
    """Since when the serving version serves; None if nothing serves, or if the bucket gave no answer.

    Raises:
        StorageError: the entry that says it is lost.
    """
    newest = next(served(found.bucket.history), None) if found.bucket else None
    return newest if newest and newest.until is None else None


def current_holds(found: Findings) -> list[Hold]:
    """Every hold in force; none also if the bucket gave no answer.

    Raises:
        StorageError: an entry that began one is lost.
    """
    return active_holds(found.bucket.history, now=found.deadline.now) if found.bucket else []


def table(found: Status) -> Group:
    """The same for people."""
    label = found.found.placement.label
    answers = f"label {label!r}" if label else "answers from"
    title = f"{found.found.model}: {_roles(found)}"
    replicas = Table("replica", answers, "loaded", "agrees", title=title)
    for replica in found.found.replicas:
        loaded = ", ".join(f"v{each.version} {each.state.lower()}" for each in _present(replica))
        serving = f"v{replica.serving}" if replica.serving is not None else "-"
        agrees = _agrees(replica, found.found)
        holds = replica.problem or replica.others or loaded or "nothing"
        replicas.add_row(f"{named(replica)}{_pod(replica)}", serving, Text(holds), agrees)
    lines = [
        *_what_serves(found),
        f"{_entries(found)}{_record(found)}MLflow: {_mlflow_roles(found.found.mlflow)}",
        *(str(hold) for hold in found.holds),
        *([how_to_lift(found.found.model)] if found.holds else []),
        *found.under_way,
        *found.notes,
        *(f"! {difference}" for difference in found.differences),
    ]
    return Group(replicas, *(Text(visible(line)) for line in lines))


def _replica_as_json(replica: ReplicaFound) -> dict[str, Any]:
    return {
        "address": replica.address,
        "first_ring": replica.first_ring,
        "serving": replica.serving,
        "versions": {each.version: each.state for each in replica.versions},
        "errors": {each.version: each.error for each in replica.versions if each.error},
        "others": replica.others,
        "problem": replica.problem,
        "pod": replica.pod.name if replica.pod else None,
        "restarts": replica.pod.restarts if replica.pod else None,
    }


def _pod(replica: ReplicaFound) -> str:
    if replica.pod is None:
        return ""
    restarts = replica.pod.restarts
    times = f", {restarts} restart{'s' if restarts > 1 else ''}" if restarts else ""
    return f", pod {replica.pod.name}{times}"


def _present(replica: ReplicaFound) -> list[VersionStatus]:
    return sorted((each for each in replica.versions if not each.ended), key=lambda each: each.version)


def _agrees(replica: ReplicaFound, found: Findings) -> str:
    if found.bucket is None:
        return "?"
    try:
        sentences = of_replica(replica, found)
    except StorageError:
        return "?"  # a difference says what cannot be read
    return "no" if replica.others or sentences else "yes"


def _roles(status: Status) -> str:
    """The version in each role."""
    if status.state is None:
        return "unknown, the bucket cannot be read"
    if not status.entry:
        return "nothing was released yet"
    # Each hold in force has a line of its own.
    return str(status.state.model_copy(update={"frozen_until": None, "held_until": None}))


def _entries(status: Status) -> str:
    if status.entry is None:
        return ""
    numbers = status.config_entries.values()
    configs = "config" if len(numbers) == 1 else "configs"
    rendered = " and ".join(dict.fromkeys("none" if number is None else str(number) for number in numbers))
    return f"journal entry {status.entry}, {configs} from entry {rendered}; "


def _record(status: Status) -> str:
    number = status.found.fleet_record
    return f"fleet record {number}; " if number is not None else ""


def _what_serves(status: Status) -> list[str]:
    """Lines on the serving version (since when, by whom, why) and on the version that is being proven.

    One that has passed its canary is not: `under_way` says what it waits for.
    """
    serving, bucket = status.serving, status.found.bucket
    proving = status.proving if bucket and bucket.passed_at is None else None
    lines = []
    if serving:
        moved = f"{serving.event} by {serving.actor} ({serving.run_key})"
        lines.append(f"v{serving.version} serves since {serving.since:{MOMENT}} UTC, {moved}: {serving.reason}")
    if proving:
        lines.append(being_tested(proving, status.found))
    return lines


def _mlflow_roles(mlflow: MlflowFound | None) -> str:
    return "no answer" if mlflow is None else roles(mlflow.aliases)
