"""What a roll-back may write next. Pure; the conventions are those of `pipeline.rules.run`."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice

from pipeline.errors import BadInputError, DeclinedError
from pipeline.journal import state as transitions
from pipeline.journal.entries import GIVEN_TRAFFIC, NO_VERSION, Change, Event
from pipeline.journal.history import History
from pipeline.journal.state import State, resident
from pipeline.moments import Until, longest
from pipeline.rules.run import is_half_promoted
from pipeline.runs.run_key import is_rollback

# If so many of the nearest versions have damaged files, a person must choose.
_MOST_TARGETS = 20
# Versions that a message names.
_NAMED = 20


@dataclass(frozen=True)
class RollbackRequest:
    """A roll-back that a person asked for.

    Attributes:
        run_key: its key.
        to: `previous`, or a version number as text.
        reason: why, for people.
        seen: the number of the last entry when it was asked for; it decides what `previous` means.
        hold: until when promotions are held afterwards; None for no hold.
    """

    run_key: str
    to: str
    reason: str
    seen: int
    hold: Until | None = None


def targets_of(history: History, request: RollbackRequest, *, dark: bool = True) -> Iterator[int]:
    """The versions that a roll-back may return to, the preferred one first; one alone if it was given by number.

    At most twenty, each looked up when the caller asks for it.

    `previous` is the version before the one that served when the person asked; the next ones are used if its files
    cannot be trusted. So two people who ask at the same time go back one step, not two. A repeated request finishes an
    unfinished roll-back.

    Args:
        history: the journal.
        request: what was asked for.
        dark: whether candidates get no traffic. If they do, `previous` is the version that served before the candidate.

    Raises:
        BadInputError: there is no such version, it never served, or it was retired; names the possible ones.
        DeclinedError: the version that the person wanted to leave does not serve any more, and traffic did not go back.
    """
    targets = _asked_for(history, request, dark=dark)
    preferred = next(targets)
    there = (version for version in chain([preferred], targets) if not history.is_retired(version))
    first = next(there, preferred)
    _require_files(history, first)
    return chain([first], there)


def unproven(history: History, request: RollbackRequest) -> int | None:
    """The candidate that was exposed when the person asked; None if there is none now.

    For roll-outs where it gets traffic.
    """
    candidate = history.state.candidate
    exposed = history.of_version(candidate, Event.EXPOSED) if candidate is not None else None
    return candidate if exposed and exposed.seq <= request.seen else None


def _asked_for(history: History, request: RollbackRequest, *, dark: bool) -> Iterator[int]:
    begun = history.of_run(request.run_key, Event.ROLLED_BACK, Event.EXPOSED)
    if begun:
        return iter([begun.version])
    if request.to == "previous":
        then = history.state_at(request.seen)
        if not dark and then.candidate is not None:
            return iter([_before_the_first_proof(history, then)])
        return _previous(history, request.seen)
    version = int(request.to)
    if not history.has_served(version):
        raise BadInputError(f"v{version} has never served. {_choices(history)}")
    return iter([version])


def _before_the_first_proof(history: History, then: State) -> int:
    """The serving version: users see the candidate, and that version served before it."""
    if then.serving is not None:
        return then.serving
    assert then.candidate is not None, "there is a candidate that users see"
    exposed = history.of_version(then.candidate, Event.EXPOSED)
    run_key = exposed.run_key if exposed else "its run"
    raise BadInputError(
        f"v{then.candidate} is the first version and is being tested: there is no version to go back to. To remove it "
        f"anyway: `understudy withdraw --model <model> --run {run_key}`"
    )


def next_step(
    history: History,
    *,
    request: RollbackRequest,
    target: int,
    loaded: bool,
    dark: bool = True,
    taking_over: bool = False,
) -> Change | None:
    """The next entry on the way to `target` serving, under its own number or the one it was reissued with.

    Args:
        history: the journal.
        request: what was asked for.
        target: one of `targets_of`.
        loaded: whether a replica has the target in memory.
        dark: whether a version is loaded before it gets traffic; otherwise it is loaded when it does.
        taking_over: whether another roll-back has exposed the target and has ended. It is exposed again, so that this
            roll-back does not count as ended too.

    Returns:
        None if the target serves, or if the caller must wait until it is loaded.

    Raises:
        BadInputError: the target was retired after it was chosen.
        DeclinedError: this roll-back was carried out before, or another version was made to serve after it was asked
            for.
    """
    state = history.state
    if history.is_same_model(state.serving, target):
        return _free_the_seat(history, request) if dark else _take_back_unproven(history, request)
    if history.of_run(request.run_key, Event.ROLLED_BACK):
        raise DeclinedError(_overtaken(history, target))
    _require_not_overtaken(history, request)
    _require_files(history, target)
    at_hand = (loaded and target in resident(state)) or not dark
    if state.leaving is not None and not (at_hand and state.leaving == target):
        newer = f"removed before all replicas had left it, because a newer roll-back, to v{target}, began"
        return _remove_leaving(history, state.leaving, reason=newer)
    if at_hand:
        after = transitions.roll_back(state, target, previous=history.previous_after(target), hold=request.hold)
        return Change(Event.ROLLED_BACK, target, request.reason, after)
    if state.candidate == target and not taking_over:
        return None
    return Change(Event.EXPOSED, target, f"to roll back to it: {request.reason}", transitions.expose(state, target))


def hold_promotions(history: History, *, request: RollbackRequest, target: int) -> Change | None:
    """Hold promotions after a roll-back whose target served already, so that it wrote no other entry.

    Returns:
        None if an entry of this roll-back holds them, if another hold lasts as long, or if all holds were lifted after
        it was asked for.

    Raises:
        DeclinedError: the target does not serve any more.
    """
    state = history.state
    if not history.is_same_model(state.serving, target):
        raise DeclinedError(f"v{target} does not serve any more, so nothing is held. {_last_move(history)}")
    held = longest(state.held_until, request.hold)
    lifted = history.of_version(NO_VERSION, Event.UNFROZEN)
    if held == state.held_until or (lifted and lifted.seq > request.seen):
        return None
    if history.of_run(request.run_key, Event.ROLLED_BACK, Event.HELD):
        return None
    return Change(Event.HELD, NO_VERSION, request.reason, state.model_copy(update={"held_until": held}))


def give_up(history: History, *, target: int, reason: str) -> Change | None:
    """Release the target, which could not be loaded: `previous` is loaded again.

    Nothing is recorded against the target.
    """
    if history.state.candidate != target:
        return None
    return Change(Event.RELEASED, target, reason, transitions.release(history.state))


def remove_leaving(history: History, *, target: int, reason: str) -> Change | None:
    """Remove the leaving version, after every replica has answered from the target.

    Raises:
        DeclinedError: another decision was taken, so the target does not serve any more.
    """
    leaving = history.state.leaving
    if history.state.serving != target:
        raise DeclinedError(_overtaken(history, target))
    if leaving is None:
        return None
    return _remove_leaving(history, leaving, reason=reason)


def _remove_leaving(history: History, leaving: int, *, reason: str) -> Change:
    """Withdraw the leaving version.

    It is only released if the serving one is newer: that undoes an earlier roll-back.
    """
    serving = history.state.serving
    undone = serving is not None and history.is_older(leaving, serving)
    event = Event.RELEASED if undone else Event.WITHDRAWN
    return Change(event, leaving, reason, transitions.withdraw(history.state, leaving))


def unfinished(history: History) -> str | None:
    """A sentence on a promotion or a roll-back that stopped, and how to finish it; None if there is none."""
    state = history.state
    if state.leaving is not None:
        return (
            f"not every replica has confirmed the roll-back from v{state.leaving} to v{state.serving}. To confirm it: "
            f"`understudy rollback --model <model> --to {state.serving} --hold none --reason why`; to leave "
            f"v{state.serving} too, use another number"
        )
    if is_half_promoted(history):
        return (
            f"the promotion of v{state.serving} is not finished: not every replica has confirmed it. In Airflow, clear "
            f"`promote` or `withdraw` of its run; or confirm it with `understudy rollback --model <model> --to "
            f"{state.serving} --hold none --reason why`"
        )
    entry = history.of_version(state.candidate, Event.EXPOSED) if state.candidate is not None else None
    if entry and is_rollback(entry.run_key):
        still = f"v{state.serving} still serves" if state.serving is not None else "nothing serves"
        cancel = f"; to cancel it: `understudy rollback --model <model> --to {state.serving} --reason why`"
        return (
            f"the roll-back of {entry.actor} to v{entry.version} has not moved any traffic: {still}. To finish it: "
            f"`understudy rollback --model <model> --to {entry.version} --reason why`"
            f"{cancel if state.serving is not None else ''}"
        )
    return None


def _previous(history: History, seen: int) -> Iterator[int]:
    then = history.state_at(seen)
    if then.leaving is not None and then.serving is not None:
        return iter([then.serving])
    target = then.previous
    if target is None:
        target = next(history.until(seen).rollback_candidates(then.serving), None)
    if target is None:
        raise BadInputError(f"there is no previous good version ({then}). {_choices(history)}")
    targets = chain([target], _further_back(history, seen, target))
    now = history.state.serving
    if history.is_same_model(now, then.serving):
        return islice(targets, _MOST_TARGETS)
    if now is not None and any(history.is_same_model(now, target) for target in islice(targets, _MOST_TARGETS)):
        return iter([now])  # another roll-back got there, or further back if the nearest could not be trusted
    raise DeclinedError(
        f"v{then.serving}, which served when you asked, does not serve any more. {_last_move(history)}. If "
        f"that version is bad too: `understudy rollback --model <model> --to NUMBER --reason why`"
    )


def _further_back(history: History, seen: int, target: int) -> Iterator[int]:
    """What `previous` means if the files of `target` cannot be trusted, the version that served last first."""
    then = history.until(seen)
    for version in then.rollback_candidates(then.state.serving):
        if history.was_good(version) and not history.is_same_model(version, target):
            yield version


def _require_not_overtaken(history: History, request: RollbackRequest) -> None:
    """Refuse a request that is older than a decision of another run.

    For a target given by number that is a promotion: the person did not know that version. For `previous`, and for a
    roll-back that had begun, it is another roll-back as well. The person can ask again.
    """
    begun = history.of_run(request.run_key, Event.EXPOSED)
    since = begun.seq if begun else request.seen
    newer = (Event.PROMOTED, Event.ROLLED_BACK) if begun or request.to == "previous" else (Event.PROMOTED,)
    # This run has not moved traffic yet, so the newest move is that of another one.
    moved = history.newest(*newer)
    if moved and moved.seq > since:
        raise DeclinedError(
            f"this roll-back was not done: another command changed the serving version after you asked. "
            f"{_last_move(history)}. If that version is bad, roll back again"
        )


def _require_files(history: History, version: int) -> None:
    retired = history.retirement(version)
    if retired:
        raise BadInputError(
            f"v{version} was retired on {retired.at:%Y-%m-%d} ({retired.reason}): its files are deleted. "
            f"{_choices(history)}"
        )


def _free_the_seat(history: History, request: RollbackRequest) -> Change | None:
    """Release the candidate that an older roll-back has left: the target serves already."""
    candidate = history.state.candidate
    entry = history.of_version(candidate, Event.EXPOSED) if candidate is not None else None
    if entry is None or not is_rollback(entry.run_key) or entry.seq > request.seen:
        return None
    return give_up(history, target=entry.version, reason=f"v{history.state.serving} was chosen instead")


def _take_back_unproven(history: History, request: RollbackRequest) -> Change | None:
    candidate = unproven(history, request)
    if candidate is None:
        return None
    return Change(Event.WITHDRAWN, candidate, request.reason, transitions.withdraw(history.state, candidate))


def _choices(history: History) -> str:
    served = sorted(version for version in history.promoted() if version != history.state.serving)
    newest = [f"v{v}" if history.was_good(v) else f"v{v} (taken back)" for v in served[-_NAMED:]]
    older = len(served) - len(newest)
    more = f", and {older} older ones, see `understudy history --model <model>`" if older else ""
    return f"Other versions that have served: {', '.join(newest) or 'none'}{more}"


def _overtaken(history: History, target: int) -> str:
    return (
        f"this roll-back moved traffic to v{target}, and then another command moved it again. {_last_move(history)}. "
        f"If that version is bad, roll back again"
    )


def _last_move(history: History) -> str:
    entry = history.newest(*GIVEN_TRAFFIC)
    return f"v{entry.version} serves since {entry.at:%H:%M:%S} UTC, by {entry.actor}" if entry else "nothing serves"
