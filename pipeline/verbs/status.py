"""Who serves what, and where the journal, the config, the files, the replicas and MLflow do not agree."""

from dataclasses import dataclass
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from pipeline.context import Context
from pipeline.mirror import MlflowFound
from pipeline.release import config
from pipeline.release.holds import Hold, how_to_lift, in_force
from pipeline.release.placement import Placement
from pipeline.release.state import State
from pipeline.verbs.differences import differences, of_replica, roles
from pipeline.verbs.findings import Found, ReplicaFound, look
from pipeline.verbs.history import visible
from serving.replica import VersionStatus


@dataclass(frozen=True)
class Status:
    """What was found. `differences` is empty where everything agrees; each says what to do."""

    found: Found
    differences: list[str]

    @property
    def state(self) -> State | None:
        return self.found.bucket.history.state if self.found.bucket else None

    @property
    def holds(self) -> list[Hold]:
        return in_force(self.found.bucket.history, now=self.found.deadline.now) if self.found.bucket else []

    @property
    def entry(self) -> int | None:
        return self.found.bucket.history.seq if self.found.bucket else None

    @property
    def config_entry(self) -> int | None:
        return config.rendered_entry((self.found.bucket and self.found.bucket.config) or "")

    def as_json(self) -> dict[str, Any]:
        return {
            "model": self.found.model,
            "rollout": self.found.placement.name,
            "agrees": not self.differences,
            "state": self.state.model_dump(mode="json") if self.state else None,
            "holds": [hold.as_json() for hold in self.holds],
            "entry": self.entry,
            "config_entry": self.config_entry,
            "replicas": [_replica_as_json(replica) for replica in self.found.replicas],
            "mlflow": self.found.mlflow.aliases if self.found.mlflow else None,
            "differences": self.differences,
        }


def status(context: Context) -> Status:
    """Look at everything; changes nothing, and answers whoever does not."""
    found = look(context)
    return Status(found, differences(found))


def table(found: Status) -> Group:
    """The same for a person."""
    state = found.state
    # A hold has a line of its own, as long as it lasts.
    lines_of_their_own = {"frozen_until": None, "held_until": None}
    served = str(state.model_copy(update=lines_of_their_own)) if state else "the bucket does not say"
    label = found.found.placement.label
    answers = f"label {label!r}" if label else "answers from"
    title = f"{found.found.model}: {served}"
    replicas = Table("replica", answers, "loaded", "agrees", title=title)
    for replica in found.found.replicas:
        loaded = ", ".join(f"v{each.version} {each.state.lower()}" for each in _present(replica))
        serving = f"v{replica.serving}" if replica.serving is not None else "-"
        agrees = _agrees(replica, state, found.found.placement)
        holds = replica.problem or replica.others or loaded or "nothing"
        replicas.add_row(replica.address, serving, Text(holds), agrees)
    lines = [
        f"journal entry {found.entry}, config renders entry {found.config_entry}; MLflow: {_told(found.found.mlflow)}",
        *(str(hold) for hold in found.holds),
        *([how_to_lift(found.found.model)] if found.holds else []),
        *(f"! {difference}" for difference in found.differences),
    ]
    return Group(replicas, *(Text(visible(line)) for line in lines))


def _replica_as_json(replica: ReplicaFound) -> dict[str, Any]:
    return {
        "address": replica.address,
        "serving": replica.serving,
        "versions": {each.version: each.state for each in replica.versions},
        "errors": {each.version: each.error for each in replica.versions if each.error},
        "others": replica.others,
        "problem": replica.problem,
    }


def _present(replica: ReplicaFound) -> list[VersionStatus]:
    return sorted((each for each in replica.versions if not each.ended), key=lambda each: each.version)


def _agrees(replica: ReplicaFound, state: State | None, placement: Placement) -> str:
    if state is None:
        return "?"
    return "no" if replica.others or of_replica(replica, state, placement) else "yes"


def _told(mlflow: MlflowFound | None) -> str:
    return "no answer" if mlflow is None else roles(mlflow.aliases)
