"""What each verb may write next, given the journal. Pure: a rule gets the history and returns the change, or None.

A rule is asked again with the new history when another writer was first, so each answers the whole question anew:
it is already so (None), it may be done (a change), or it may not (an error that says why).
"""

from datetime import datetime

from pipeline.errors import BadInputError, DeclinedError, FailedError
from pipeline.release import state as transitions
from pipeline.release.journal import Change, Event, History
from pipeline.release.state import State, resident
from pipeline.verdicts.verdict import Verdict

ROLLBACK_KIND = "rollback-"


def claim(history: History, *, run_key: str, compared_with: int | None, reason: str, verdict: Verdict) -> Change | None:
    """Take a version number for a run whose gate has approved it."""
    if history.version_of(run_key) is not None:
        return None
    _still_serving(history.state, compared_with)
    state = history.state
    return Change(Event.CLAIMED, state.next_version, reason, transitions.claim(state), verdict)


def announce_published(history: History, *, version: int) -> Change | None:
    """Say that the files of a claimed version are complete and verified."""
    if history.of_version(version, Event.PUBLISHED):
        return None
    return Change(Event.PUBLISHED, version, "complete and verified", history.state)


def expose(history: History, *, version: int, compared_with: int | None) -> Change | None:
    """Load a published version dark on every replica."""
    state = history.state
    _not_withdrawn(history, version)
    if version in (state.candidate, state.serving):
        return None
    _still_serving(state, compared_with)
    if state.leaving is not None:
        raise DeclinedError(f"a roll-back is still taking v{state.leaving} away; run it again, it will finish")
    reason = "to be proven"
    if state.candidate is not None:
        reason = _displace(history, state.candidate, by=version)
    return Change(Event.EXPOSED, version, reason, transitions.expose(state, version))


def promote(history: History, *, version: int, compared_with: int | None, verdict: Verdict) -> Change | None:
    """Give traffic to this run's candidate."""
    state = history.state
    _not_withdrawn(history, version)
    if state.serving == version:
        return None
    _still_serving(state, compared_with)
    if state.candidate != version:
        raise DeclinedError(f"v{version} is no longer the candidate ({state})")
    return Change(Event.PROMOTED, version, "proven on every replica", transitions.promote(state), verdict)


def withdraw(history: History, *, version: int, reason: str, verdict: Verdict | None = None) -> Change | None:
    """Let a version go that is not serving, or that is the first release and has nothing to go back to."""
    if history.withdrawal(version):
        return None
    return Change(Event.WITHDRAWN, version, reason, transitions.withdraw(history.state, version), verdict)


def undo_promotion(history: History, *, version: int, reason: str) -> Change | None:
    """Take the label back from a version whose promotion stopped half-way; it is withdrawn once that has spread."""
    state = history.state
    if state.serving != version or state.previous is None:
        return None
    target = state.previous
    return Change(
        Event.ROLLED_BACK,
        target,
        reason,
        transitions.roll_back(state, target, previous=history.good_before(target)),
    )


def roll_back(history: History, *, target: int, reason: str) -> Change | None:
    """The next step towards `target` serving: finish an older roll-back, load the target, or move the label to it."""
    state = history.state
    if state.serving == target:
        return None
    if state.leaving is not None and target != state.leaving:
        told = f"a newer roll-back, to v{target}, does not wait for it"
        return Change(Event.WITHDRAWN, state.leaving, told, transitions.withdraw(state, state.leaving))
    if target not in resident(state):
        return Change(Event.EXPOSED, target, f"to roll back to it: {reason}", transitions.expose(state, target))
    after = transitions.roll_back(state, target, previous=history.good_before(target))
    return Change(Event.ROLLED_BACK, target, reason, after)


def target_of(history: History, *, run_key: str, to: str, asked_at: datetime) -> int:
    """The version a roll-back is about.

    `previous` means the version before the one that served when the person asked: a second copy of the same request,
    or a colleague who asked at the same time, does not go back one step more.

    Raises:
        BadInputError: there is no such version, or it never served; names those that did.
    """
    begun = history.of_run(run_key, Event.ROLLED_BACK, Event.EXPOSED)
    if begun:
        return begun.version
    if to == "previous":
        return _previous(history, asked_at)
    version = int(to)
    if history.of_version(version, Event.PROMOTED) is None:
        raise BadInputError(f"v{version} has never served; {_choices(history)}")
    return version


def _previous(history: History, asked_at: datetime) -> int:
    state = history.state
    moved_since = any(e.event is Event.ROLLED_BACK and e.at >= asked_at for e in history.entries)
    if moved_since and state.serving is not None:
        return state.serving
    target = state.previous if state.previous is not None else history.good_before(state.serving)
    if target is None:
        raise BadInputError(f"there is no previous good version ({state}); {_choices(history)}")
    return target


def _choices(history: History) -> str:
    served = sorted({e.version for e in history.entries if e.event is Event.PROMOTED} - {history.state.serving})
    return "versions that have served: " + (", ".join(f"v{v}" for v in served if v is not None) or "none but this")


def _still_serving(state: State, compared_with: int | None) -> None:
    if state.serving != compared_with:
        now, then = (f"v{v}" if v is not None else "nothing" for v in (state.serving, compared_with))
        raise DeclinedError(f"{now} is serving, and this candidate was compared with {then}; retrain to compare anew")


def _not_withdrawn(history: History, version: int) -> None:
    entry = history.withdrawal(version)
    if entry:
        raise FailedError(f"v{version} was withdrawn: {entry.reason}; a number never comes back, trigger a new run")


def _displace(history: History, occupant: int, *, by: int) -> str:
    """A newer candidate takes the seat of one that was left behind; nobody takes it from a person's roll-back."""
    entry = history.of_version(occupant, Event.EXPOSED)
    if entry and entry.run_key.startswith(ROLLBACK_KIND):
        raise DeclinedError(f"{entry.actor} is rolling back to v{occupant} since {entry.at:%H:%M:%S} UTC")
    if occupant > by:
        raise DeclinedError(f"v{occupant}, which is newer, is being proven")
    return f"to be proven; takes the seat of v{occupant}, which was neither promoted nor withdrawn"
