"""Which versions, runs and lists of images may be deleted, and why each of the others stays. Pure.

The journal records first that a version is retired; then its files are deleted. So a roll-back that was decided before
keeps its target, and a later one is refused.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import chain, islice

from pipeline.journal.entries import MADE_CANDIDATE, Change, Event
from pipeline.journal.facts import KnownRun, Mark
from pipeline.journal.history import History
from pipeline.journal.state import State
from pipeline.spec import RetentionPolicy

_DAY = 24 * 60 * 60
# The least difference between two moments, in seconds.
_MICROSECOND = 1e-6
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


@dataclass(frozen=True, slots=True)
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

    def before(self, seconds: float) -> datetime:
        """The moment so long ago; the first that there is, if it would be before that."""
        try:
            return self.now - timedelta(seconds=seconds)
        except OverflowError:
            return datetime.min.replace(tzinfo=UTC)

    def is_old_for_a_run(self, moment: datetime) -> bool:
        """Whether the records of a run from that moment may be deleted."""
        return moment <= self.before(self.policy.run_days * _DAY)


def plan(history: History, found: StoredVersions, terms: RetentionLimits) -> tuple[VersionDecision, ...]:
    """A line for every version of the journal, in ascending order.

    Without those that are retired and have no files left: they cost nothing, however many there are.
    """
    known = _known(history, found)
    kept = _kept(history, found, terms, known)
    every = sorted({*known, *(version for version in kept if 0 < version < history.state.next_version)})
    return tuple(_line(version, history, known, terms, why=kept.get(version)) for version in every)


def retire(history: History, found: StoredVersions, terms: RetentionLimits) -> Change | None:
    """Retire every version without a reason to keep it, in one entry; None if there is none."""
    return retirement_of(plan(history, found, terms), history, terms)


def retirement_of(lines: Iterable[VersionDecision], history: History, terms: RetentionLimits) -> Change | None:
    """What `retire` returns, from the plan for this history."""
    going = tuple(line.version for line in lines if line.decision is RetentionDecision.RETIRE)
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
    old = [key for key, moment in dated.items() if terms.is_old_for_a_run(moment)]
    return sorted(_of_no_kept_version(history.known_runs(old), lines))


def old_known_runs(
    history: History, known: Mapping[str, KnownRun], lines: Iterable[VersionDecision], terms: RetentionLimits
) -> list[str]:
    """As `old_runs`, for runs with entries in the journal: entries are dated in their order, so none is read for that.

    Args:
        history: the journal.
        known: what it knows about each run.
        lines: the plan for the versions.
        terms: the limits.
    """
    last_old = history.seq_at(terms.before(terms.policy.run_days * _DAY))
    return sorted(_of_no_kept_version({key: run for key, run in known.items() if run.last <= last_old}, lines))


def _of_no_kept_version(known: Mapping[str, KnownRun], lines: Iterable[VersionDecision]) -> Iterator[str]:
    kept = {line.version for line in lines if line.decision is RetentionDecision.KEEP}
    return (key for key, run in known.items() if run.version not in kept)


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


@dataclass(frozen=True, slots=True)
class _Known:
    """What a plan needs to know about a version. There may be many thousands, and each page of facts is read once.

    Attributes:
        description: what it is, as text.
        is_retired: whether its model was retired.
        last: the newest entry about it that is not a retirement; None if there is none.
    """

    description: str
    is_retired: bool
    last: Mark | None


def _known(history: History, found: StoredVersions) -> dict[int, _Known]:
    """The versions that are not retired, and those of which there are files; ascending."""
    stored = (version for version in found.all if version < history.state.next_version)
    return {version: _what_it_is(version, history) for version in sorted({*history.unretired(), *stored})}


def _what_it_is(version: int, history: History) -> _Known:
    return _Known(_described(version, history), history.is_retired(version), history.mark(version, *_ALIVE))


def _kept(
    history: History, found: StoredVersions, terms: RetentionLimits, known: Mapping[int, _Known]
) -> dict[int, list[str]]:
    """Every reason to keep a version, for those that have one."""
    kept: dict[int, list[str]] = {}
    reasons = chain(
        _roles(history.state),
        _rollback_candidates(history, terms.policy.keep),
        ((version, "named by the config") for version in sorted(found.configured)),
        _young(history, terms, known),
    )
    for version, why in reasons:
        kept.setdefault(version, []).append(why)
    _keep_models(kept, history)
    for folder in (found.served, found.first_ring):
        there = folder.intersection(known)
        if there and not there.intersection(kept):
            # An empty base path makes servers unload everything.
            best = max(there, key=lambda v: (not known[v].is_retired, history.was_good(v), v))
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


def _young(history: History, terms: RetentionLimits, known: Mapping[int, _Known]) -> Iterator[tuple[int, str]]:
    """Versions that changed recently. A clock that is slow makes everything young, so nothing is deleted.

    Entries are dated in their order. So the number of an entry says whether it is young, and only those are read whose
    date is shown.
    """
    days = terms.policy.days
    last_old = history.seq_at(terms.before(days * _DAY))
    last_abandoned = history.seq_at(terms.before(terms.abandoned_seconds + _MICROSECOND))
    for version, each in known.items():
        if each.last is None or each.is_retired:
            continue
        if each.last.seq > last_old:
            at = history.entry(each.last.seq).at
            yield version, f"{each.last.event} on {at:%Y-%m-%d}, less than {days:g} days ago"
        if each.last.event in _UNDECIDED and each.last.seq > last_abandoned:
            yield version, "its run may still be working on it"


def _keep_models(kept: dict[int, list[str]], history: History) -> None:
    """Keep all numbers of a model that is kept: they share its files."""
    for version in sorted(kept):
        for number in history.numbers(version):
            kept.setdefault(number, [f"the same model as v{version}"])


def _line(
    version: int, history: History, known: Mapping[int, _Known], terms: RetentionLimits, *, why: list[str] | None
) -> VersionDecision:
    each = known.get(version) or _what_it_is(version, history)
    if why:
        return VersionDecision(version, each.description, RetentionDecision.KEEP, tuple(why))
    retired = history.retirement(version) if each.is_retired else None
    if retired is None:
        silent = f"not used for {terms.policy.days:g} days, and nothing needs it"
        return VersionDecision(version, each.description, RetentionDecision.RETIRE, (silent,))
    reason = f"retired on {retired.at:%Y-%m-%d}, {retired.reason}"
    return VersionDecision(version, each.description, RetentionDecision.DELETE, (reason,))


def _described(version: int, history: History) -> str:
    original = history.original(version)
    if history.is_retired(version):
        return "retired"
    if original != version:
        return f"v{original} again"
    if history.was_good(version):
        return "good"
    decided = history.withdrawal_mark(version) or history.mark(version, *_DECIDED)
    last = decided or history.mark(version, *_UNDECIDED)
    return last.event.value if last else "unknown"
