"""Who serves what, and where the journal, the config, the replicas and MLflow do not agree."""

from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from pipeline.context import Context
from pipeline.mirror import aliases, wanted_aliases
from pipeline.release.going_back import unfinished
from pipeline.release.journal import History
from pipeline.release.state import resident
from serving.errors import ServingError
from serving.replica import STABLE


@dataclass(frozen=True)
class ReplicaStatus:
    address: str
    serving: int | None
    versions: dict[int, str]
    problem: str = ""


@dataclass(frozen=True)
class Status:
    """What was found. `differences` is empty where everything agrees; each says what to do."""

    model: str
    state: dict[str, int | None]
    entry: int
    config_entry: int | None
    replicas: list[ReplicaStatus]
    mlflow: dict[str, int] | None
    differences: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def status(context: Context) -> Status:
    """Look at everything; changes nothing."""
    history = context.journal.read()
    found = Status(
        model=context.model,
        state=history.state.model_dump(),
        entry=history.seq,
        config_entry=context.rollout.rendered_entry(),
        replicas=[_ask(context, address) for address in context.rollout.fleet.addresses()],
        mlflow=aliases(context.mlflow, model=context.model),
    )
    found.differences.extend(_differences(found, history))
    return found


def table(found: Status) -> Group:
    """The same for a person."""
    replicas = Table("replica", f"label {STABLE!r}", "loaded", "agrees", title=f"{found.model}: {_roles(found.state)}")
    for replica in found.replicas:
        loaded = ", ".join(f"v{v} {state.lower()}" for v, state in sorted(replica.versions.items()) if state != "END")
        label = f"v{replica.serving}" if replica.serving is not None else "-"
        agrees = "yes" if replica.serving == found.state["serving"] and not replica.problem else "no"
        replicas.add_row(replica.address, label, replica.problem or loaded or "nothing", agrees)
    mirrored = "no answer" if found.mlflow is None else _roles(dict(found.mlflow)) or "no aliases"
    lines = [f"journal entry {found.entry}, config renders entry {found.config_entry}; MLflow: {mirrored}"]
    lines += [f"! {difference}" for difference in found.differences]
    return Group(replicas, *(Text(line) for line in lines))


def _roles(roles: dict[str, int | None]) -> str:
    told = [f"{role} v{v}" for role, v in roles.items() if v is not None and role != "next_version"]
    return ", ".join(told) or "nothing served yet"


def _ask(context: Context, address: str) -> ReplicaStatus:
    try:
        with context.rollout.fleet.connect(address, timeout=context.settings.rpc_seconds) as replica:
            versions = {each.version: each.state for each in replica.statuses(context.model)}
            serving = replica.version_behind(context.model, STABLE) if versions else None
    except ServingError as error:
        return ReplicaStatus(address, serving=None, versions={}, problem=error.told)
    return ReplicaStatus(address, serving, versions)


def _differences(found: Status, history: History) -> list[str]:
    state = history.state
    told = []
    if found.config_entry != found.entry:
        told.append(
            f"the config renders entry {found.config_entry}, the journal is at {found.entry}: a verb stopped half-way; "
            f"run it again, or any release verb"
        )
    left = unfinished(history)
    if left:
        told.append(left)
    for replica in found.replicas:
        told += _replica_differences(replica, serving=state.serving, loaded=set(resident(state)))
    wanted = wanted_aliases(state)
    if found.mlflow is not None and found.mlflow != wanted:
        told.append(f"MLflow's aliases say {found.mlflow}, the journal {wanted}: the next release verb mends them")
    return told


def _replica_differences(replica: ReplicaStatus, *, serving: int | None, loaded: set[int]) -> list[str]:
    if replica.problem:
        return [f"{replica.address} gives no answer ({replica.problem}): start it, or look at its log"]
    told = []
    if replica.serving != serving:
        told.append(
            f"{replica.address} serves {replica.serving}, the journal says {serving}: wait one poll; if it stays, "
            f"restart the replica"
        )
    present = {version for version, state in replica.versions.items() if state == "AVAILABLE"}
    if present != loaded:
        told.append(
            f"{replica.address} has loaded {sorted(present)}, the journal wants {sorted(loaded)}: wait one poll"
        )
    return told
