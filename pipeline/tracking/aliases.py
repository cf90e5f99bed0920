"""The aliases of a registered model in MLflow: what the journal wants, what they say, and whose they are."""

from collections.abc import Container, Mapping
from dataclasses import dataclass

from pipeline.commands import with_model
from pipeline.journal.history import History
from pipeline.tracking.ownership import Owner
from pipeline.tracking.registry import ALIASES, NO_MODEL, Mlflow, Registered, Registry, open_registry


@dataclass(frozen=True)
class MlflowFound:
    """The state of MLflow's aliases.

    Attributes:
        aliases: the served version behind each alias that points to a version of this bucket.
        collision: which aliases point to other versions, and what to do; empty if none does.
    """

    aliases: Mapping[str, int]
    collision: str = ""


def read_aliases(mlflow: Mlflow, *, model: str, owner: Owner | None) -> MlflowFound | None:
    """Read MLflow's aliases, for comparison with the journal; None if MLflow does not answer. Never raises.

    Without an owner, because its bucket does not answer, the versions of all buckets count.
    """
    try:
        with open_registry(mlflow, model) as registry:
            found = registry.registered_model() or NO_MODEL
            behind = versions_behind(registry, found.aliases)
            ours = {alias: each for alias, each in behind.items() if owner is None or owner.owns(each)}
            pointed = {alias: each.served for alias, each in ours.items() if each.served is not None}
            collision = collision_of(others_of(behind, ours), mlflow, owner) if owner else ""
            return MlflowFound(pointed, with_model(collision, model))
    except Exception:  # noqa: BLE001 - whatever MLflow answers, nothing depends on it
        return None


def wanted_aliases(history: History) -> dict[str, int]:
    """The version behind each alias, as the journal wants it.

    MLflow knows a reissued version by its original number.
    """
    state = history.state
    roles = dict(zip(ALIASES, (state.serving, state.previous, state.candidate), strict=True))
    return {alias: history.original(version) for alias, version in roles.items() if version is not None}


def versions_behind(registry: Registry, aliases: Mapping[str, str]) -> dict[str, Registered]:
    """The version behind each alias. An alias of a version that was deleted meanwhile is gone as well."""
    found = {number: registry.version(number) for number in sorted(set(aliases.values()))}
    return {alias: each for alias, number in aliases.items() if (each := found[number]) is not None}


def others_of(behind: Mapping[str, Registered], ours: Container[str]) -> dict[str, Registered]:
    """The aliases that are not ours, in their order, each with its version."""
    return {alias: each for alias, each in sorted(behind.items()) if alias not in ours}


def collision_of(others: Mapping[str, Registered], mlflow: Mlflow, owner: Owner) -> str:
    """A sentence on aliases that point to versions of other buckets, and what to do; empty if none does."""
    if not others:
        return ""
    owners = {each.owner for each in others.values()}
    return (
        f"MLflow's aliases {', '.join(others)} point to versions of {', '.join(sorted(owners))}, so "
        f"this bucket ({owner.bucket}) changes no alias of that registered model; serving does not depend on them. Use "
        f"another MLflow (`understudy fleet set --mlflow-url`) or another model name for one of the two. If the other "
        f"one is not used any more, delete these aliases in MLflow at {mlflow.url}, and run `understudy reconcile "
        f"--model <model>`"
    )
