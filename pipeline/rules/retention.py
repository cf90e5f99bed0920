"""Which versions, runs and lists of images may be deleted, and why each of the others stays. Pure.

The journal records first that a version is retired; then its files are deleted. So a roll-back that was decided before
keeps its target, and a later one is refused.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import chain, islice

from pipeline.journal.entries import MADE_CANDIDATE, Change, Event
from pipeline.journal.history import History
from pipeline.journal.state import State
from pipeline.spec import RetentionPolicy

_DAY = 24 * 60 * 60
_ALIVE = tuple(event for event in Event if event is not Event.RETIRED)
# After one of these events the run writes more.
_UNDECIDED = (Event.CLAIMED, Event.PUBLISHED, *MADE_CANDIDATE)
_DECIDED = (Event.WITHDRAWN, Event.DECLINED, Event.PROMOTED)


class RetentionDecision(StrEnum):
    """What happens to a version.

    `retire`: to be recorded as retired, then deleted. `delete`: recorded, some files are left.
    """

    KEEP = "keep"
    RETIRE = "retire"
    DELETE = "delete"


@dataclass(frozen=True)
class VersionDecision:
    """The decision about one version.

    Attributes:
        version: its number.
        description: what it is, as text, for example `good`.
        decision: what happens to it.
        why: every reason to keep it, or the reason to delete it.
    """

    version: int
    description: str
    decision: RetentionDecision
    why: tuple[str, ...]


@dataclass(frozen=True)
class StoredVersions:
    """What the bucket holds.

    Attributes:
        served: the versions below the base path.
        published: the versions where no server looks (latest roll-out).
        configured: the versions that a config names.
        first_ring: the versions below the base path of the first ring (latest roll-out).
    """

    served: frozenset[int]
    published: frozenset[int]
    configured: frozenset[int]
    first_ring: frozenset[int] = frozenset()

    @property
    def all(self) -> frozenset[int]:
        """Those of which there are files anywhere."""
        return self.served | self.published | self.first_ring


@dataclass(frozen=True)
class RetentionLimits:
    """The limits, and the time now. A run that has written nothing for `abandoned_seconds` counts as ended."""

    policy: RetentionPolicy
    now: datetime
    abandoned_seconds: float

    def age(self, moment: datetime) -> float:
        """The age of a moment in seconds."""
        return (self.now - moment).total_seconds()

    def is_old_for_a_run(self, moment: datetime) -> bool:
        """Whether the records of a run from that moment may be deleted."""
        return self.age(moment) >= self.policy.run_days * _DAY


def plan(history: History, found: StoredVersions, terms: RetentionLimits) -> tuple[VersionDecision, ...]:
    """A line for every version of the journal, in ascending order.

    Without those that are retired and have no files left.
    """
    kept = _kept(history, found, terms)
    lines = (_line(version, history, found, terms, why=kept.get(version)) for version in _versions(history))
    return tuple(line for line in lines if line is not None)


def retire(history: History, found: StoredVersions, terms: RetentionLimits) -> Change | None:
    """Retire every version without a reason to keep it, in one entry; None if there is none."""
    going = tuple(line.version for line in plan(history, found, terms) if line.decision is RetentionDecision.RETIRE)
    if not going:
        return None
    return Change(Event.RETIRED, going[-1], f"retention: {terms.policy}", history.state, versions=going)


def old_runs(
    history: History, dated: Mapping[str, datetime], lines: Iterable[VersionDecision], terms: RetentionLimits
) -> list[str]:
    """The runs whose records may be deleted: old ones from which no kept version came.

    Args:
        history: the journal.
        dated: the last moment of each run.
        lines: the plan for the versions.
        terms: the limits.
    """
    kept = {line.version for line in lines if line.decision is RetentionDecision.KEEP}
    return [
        key for key, moment in dated.items() if history.version_of(key) not in kept and terms.is_old_for_a_run(moment)
    ]


def old_lists(dated: Mapping[str, datetime], terms: RetentionLimits) -> list[str]:
    """The lists of images that may be deleted if no kept run names them, in their order.

    The newest one stays: the next snapshot knows from it which files need not be read again. A young one stays, because
    its run may be about to name it.

    Args:
        dated: when the snapshot of each list began.
        terms: the limits.
    """
    newest = max(dated, key=lambda name: (dated[name], name), default=None)
    return sorted(name for name, moment in dated.items() if name != newest and terms.is_old_for_a_run(moment))


def _versions(history: History) -> range:
    return range(1, history.state.next_version)


def _kept(history: History, found: StoredVersions, terms: RetentionLimits) -> dict[int, list[str]]:
    """Every reason to keep a version, for those that have one."""
    kept: dict[int, list[str]] = {}
    reasons = chain(
        _roles(history.state),
        _rollback_candidates(history, terms.policy.keep),
        ((version, "named by the config") for version in sorted(found.configured)),
        _young(history, terms),
    )
    for version, why in reasons:
        kept.setdefault(version, []).append(why)
    _keep_models(kept, history)
    for folder in (found.served, found.first_ring):
        known = folder.intersection(_versions(history))
        if known and not known.intersection(kept):
            # An empty base path makes servers unload everything.
            best = max(known, key=lambda v: (history.retirement(v) is None, history.was_good(v), v))
            kept[best] = ["the base path would be empty without it"]
            _keep_models(kept, history)
    return kept


def _roles(state: State) -> Iterator[tuple[int, str]]:
    for role in ("serving", "previous", "candidate", "leaving", "pinned"):
        version = getattr(state, role)
        if version is not None:
            yield version, role


def _rollback_candidates(history: History, keep: int) -> Iterator[tuple[int, str]]:
    """The good versions before the serving one; after a roll-back, also those that are newer than it."""
    for place, version in enumerate(islice(history.all_good_before(history.state.serving), keep), start=1):
        yield version, f"number {place} of the last {keep} good ones"
    for version in islice(history.all_good_after(history.state.serving), keep):
        yield version, "good, and newer than the serving version"


def _young(history: History, terms: RetentionLimits) -> Iterator[tuple[int, str]]:
    """Versions that changed recently. A clock that is slow makes everything young, so nothing is deleted."""
    days = terms.policy.days
    for version in _versions(history):
        last = history.of_version(version, *_ALIVE)
        if last is None or history.retirement(version) is not None:
            continue
        age = terms.age(last.at)
        if age < days * _DAY:
            yield version, f"{last.event} on {last.at:%Y-%m-%d}, less than {days:g} days ago"
        if last.event in _UNDECIDED and age <= terms.abandoned_seconds:
            yield version, "its run may still be working on it"


def _keep_models(kept: dict[int, list[str]], history: History) -> None:
    """Keep all numbers of a model that is kept: they share its files."""
    models: dict[int, int] = {}
    for version in sorted(kept):
        models.setdefault(history.original(version), version)
    for version in _versions(history):
        same = models.get(history.original(version))
        if version not in kept and same is not None:
            kept[version] = [f"the same model as v{same}"]


def _line(
    version: int, history: History, found: StoredVersions, terms: RetentionLimits, *, why: list[str] | None
) -> VersionDecision | None:
    description = _described(version, history)
    if why:
        return VersionDecision(version, description, RetentionDecision.KEEP, tuple(why))
    retired = history.retirement(version)
    if retired is None:
        silent = f"not used for {terms.policy.days:g} days, and nothing needs it"
        return VersionDecision(version, description, RetentionDecision.RETIRE, (silent,))
    if version in found.all:
        return VersionDecision(
            version, description, RetentionDecision.DELETE, (f"retired on {retired.at:%Y-%m-%d}, {retired.reason}",)
        )
    return None


def _described(version: int, history: History) -> str:
    original = history.original(version)
    if history.retirement(version) is not None:
        return "retired"
    if original != version:
        return f"v{original} again"
    if history.was_good(version):
        return "good"
    decided = history.withdrawal(version) or history.of_version(version, *_DECIDED)
    last = decided or history.of_version(version, *_UNDECIDED)
    return str(last.event) if last else "unknown"
