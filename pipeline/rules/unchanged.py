"""Whether a run that no person has started would repeat an earlier one. Pure.

A schedule asks for a run again and again. It ends early if the images, the code, the parameters and the installed
packages are those of the newest decided run: the same candidate would be decided on again.

A message that there are new images may come twice, may come for each of a thousand images, and may come when they are
in the snapshot already. A message says nothing about code or parameters, so after it only the content counts: the
digest of the data.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import DeclinedError
from pipeline.journal.entries import GIVEN_TRAFFIC, Entry, Event
from pipeline.journal.history import History
from pipeline.runs.code_version import is_exact
from pipeline.spec import ModelSpec
from pipeline.verdicts.verdict import Decision

# The groups of a model file that have an effect on the candidate or on the decision about it. A seed that was drawn is
# in no group: it is `null` there.
PARAMETERS = ("training", "imported", "image", "data", "gate", "canary")


@dataclass(frozen=True)
class Conditions:
    """What decides about a run beside its images.

    Attributes:
        code_version: see `pipeline.runs.code_version`.
        model: the model file, with the overrides of the run.
        installed: see `pipeline.runs.installed`; empty if it was not recorded.
        network_source: see `RunSpec`. It counts beside the version of the code, which a file outside of Git does not
            change.
    """

    code_version: str
    model: ModelSpec
    installed: str
    network_source: str = ""


@dataclass(frozen=True)
class DecidedRun:
    """A run whose training has led to a decision, and what it has used.

    Attributes:
        key: its run key.
        data: the digest of its data set, see `SnapshotRecord`.
        decision: a clause, for example `v4 was promoted`.
        conditions: what else it has used.
    """

    key: str
    data: str
    decision: str
    conditions: Conditions


def decision_about(history: History, version: int, *, promoted: bool) -> str | None:
    """What was decided about a version that passed the gate, as a clause; None if nothing is.

    A withdrawal after the promotion is a decision too: the same images would give a similar model, which nobody has
    asked for. So is a withdrawal for what the canary has seen. Nothing is decided about a version that was taken back
    because its run stopped or could not tell, and about one that a person has readmitted since.

    Args:
        history: the journal.
        version: the version.
        promoted: whether its run has confirmed that every replica answers from it.
    """
    word = history.of_model(version, Event.WITHDRAWN, Event.READMITTED, *GIVEN_TRAFFIC)
    if word is not None and word.event is Event.READMITTED:
        return None
    if word is None or word.event is not Event.WITHDRAWN:
        return f"v{version} was promoted" if promoted else None
    if promoted:
        return f"v{version} was promoted, and then withdrawn by {word.actor} on {_reason(word)}"
    failed = word.verdict is not None and word.verdict.decision is Decision.FAIL
    return f"v{version} was withdrawn on {_reason(word)}" if failed else None


def changes_between(before: Conditions, now: Conditions) -> tuple[str, ...]:
    """What has changed between two runs beside the images, or may have, each as a clause; empty if nothing has.

    A version of the code that is not known, or that has changes which no commit has, counts as changed. So do packages
    that were not recorded.
    """
    return (
        *_code(before.code_version, now.code_version),
        *_parameters(before.model, now.model),
        *_packages(before.installed, now.installed),
        *_network_source(before.network_source, now.network_source),
    )


def require_new_data(digest: str, *, newest: DecidedRun | None, model: str, by_event: bool) -> None:
    """Check that the images differ from those of the newest decided run.

    Args:
        digest: of the images of this run.
        newest: the run to compare with; None if this run trains also on the same images.
        model: the name of the model.
        by_event: whether an event has started this run, so that nothing else was compared.

    Raises:
        DeclinedError: they are the same; names the run and says how to train on them again.
    """
    if newest is None or newest.data != digest:
        return
    if by_event:
        raise DeclinedError(
            f"an event has started this run, and the images are those of run {newest.key} (data digest {digest[:12]}), "
            f"after which {newest.decision}. Nothing is trained. To train on the same images again, trigger "
            f"`retrain_{model}`"
        )
    groups = "`, `".join(_parameters_of(newest.conditions.model))
    raise DeclinedError(
        f"nothing has changed since run {newest.key}, after which {newest.decision}: this scheduled run has the same "
        f"images (data digest {digest[:12]}), code (version {newest.conditions.code_version}), parameters "
        f"(`{groups}` of the model file) and installed packages. Nothing is trained. To train all the same, trigger "
        f"`retrain_{model}`"
    )


def _reason(word: Entry) -> str:
    return f"{word.at:%Y-%m-%d %H:%M} UTC ({word.reason})"


def _code(before: str, now: str) -> Iterator[str]:
    if before != now:
        yield f"the code (version {before}, now {now})"
    elif not is_exact(now):
        yield f"perhaps the code (version {now} says not exactly which code that is)"


def _packages(before: str, now: str) -> Iterator[str]:
    if not before:
        yield "perhaps the installed packages (that run has not recorded them)"
    elif before != now:
        yield "the installed packages"


def _network_source(before: str, now: str) -> Iterator[str]:
    if before != now:
        yield f"the file with the function of the network{'' if before else ' (that run has recorded none)'}"


def _parameters(before: ModelSpec, now: ModelSpec) -> Iterator[str]:
    old, new = (_flat(_parameters_of(spec)) for spec in (before, now))
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield f"{name} ({old.get(name)}, now {new.get(name)})"


def _parameters_of(model: ModelSpec) -> dict[str, Any]:
    """The groups that the model file may have, by the names that they have there: `import`."""
    values = model.model_dump(by_alias=True)
    names = {name: field.alias or name for name, field in ModelSpec.model_fields.items()}
    return {names[name]: values[names[name]] for name in PARAMETERS if getattr(model, name) is not None}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by the path of their names, `training.network.dense`."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found
