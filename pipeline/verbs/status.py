"""Who serves what, and where the journal, the config, the files, the replicas and MLflow do not agree."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from pipeline.context import Context
from pipeline.release import config
from pipeline.release.state import State
from pipeline.verbs.differences import differences, of_replica, roles
from pipeline.verbs.findings import Found, ReplicaFound, look
from serving.replica import STABLE, VersionStatus


@dataclass(frozen=True)
class Status:
    """What was found. `differences` is empty where everything agrees; each says what to do."""

    found: Found
    differences: list[str]

    @property
    def state(self) -> State | None:
        return self.found.bucket.history.state if self.found.bucket else None

    @property
    def entry(self) -> int | None:
        return self.found.bucket.history.seq if self.found.bucket else None

    @property
    def config_entry(self) -> int | None:
        return config.rendered_entry((self.found.bucket and self.found.bucket.config) or "")

    def as_json(self) -> dict[str, Any]:
        return {
            "model": self.found.model,
            "agrees": not self.differences,
            "state": self.state.model_dump() if self.state else None,
            "entry": self.entry,
            "config_entry": self.config_entry,
            "replicas": [_replica_as_json(replica) for replica in self.found.replicas],
            "mlflow": self.found.mlflow,
            "differences": self.differences,
        }


def status(context: Context) -> Status:
    """Look at everything; changes nothing, and answers whoever does not."""
    found = look(context)
    return Status(found, differences(found))


def table(found: Status) -> Group:
    """The same for a person."""
    state = found.state
    served = str(state) if state else "the bucket does not say"
    replicas = Table("replica", f"label {STABLE!r}", "loaded", "agrees", title=f"{found.found.model}: {served}")
    for replica in found.found.replicas:
        loaded = ", ".join(f"v{each.version} {each.state.lower()}" for each in _present(replica))
        label = f"v{replica.serving}" if replica.serving is not None else "-"
        replicas.add_row(replica.address, label, Text(replica.problem or loaded or "nothing"), _agrees(replica, state))
    lines = [
        f"journal entry {found.entry}, config renders entry {found.config_entry}; MLflow: {_told(found.found.mlflow)}",
        *(f"! {difference}" for difference in found.differences),
    ]
    return Group(replicas, *(Text(line) for line in lines))


def _replica_as_json(replica: ReplicaFound) -> dict[str, Any]:
    return {
        "address": replica.address,
        "serving": replica.serving,
        "versions": {each.version: each.state for each in replica.versions},
        "errors": {each.version: each.error for each in replica.versions if each.error},
        "problem": replica.problem,
    }


def _present(replica: ReplicaFound) -> list[VersionStatus]:
    return sorted((each for each in replica.versions if not each.ended), key=lambda each: each.version)


def _agrees(replica: ReplicaFound, state: State | None) -> str:
    if state is None:
        return "?"
    return "no" if of_replica(replica, state) else "yes"


def _told(aliases: Mapping[str, int] | None) -> str:
    return "no answer" if aliases is None else roles(aliases)
