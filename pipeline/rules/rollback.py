"""What a roll-back may write next, given the journal. Pure, like `decisions`, whose conventions it shares."""

from dataclasses import dataclass

from pipeline.errors import BadInputError, DeclinedError
from pipeline.journal import state as transitions
from pipeline.journal.entries import GIVEN_TRAFFIC, NO_VERSION, Change, Event
from pipeline.journal.history import History
from pipeline.journal.state import State, resident
from pipeline.moments import Until, longest
from pipeline.rules.run import is_half_promoted
from pipeline.runs.run_key import is_rollback


@dataclass(frozen=True)
class RollbackRequest:
    """A roll-back that a person asked for: `to` is `previous` or a number.

    `seen` is the last entry of the journal when it was asked, and decides what "previous" means. `hold` is until when
    nothing is to be promoted; None: it may be.
    """

    run_key: str
    to: str
    reason: str
    seen: int
    hold: Until | None = None


def targets_of(history: History, request: RollbackRequest, *, dark: bool = True) -> list[int]:
    """The versions a roll-back may be about, the best first: one that was said by its number, or that it began with.

    `previous` is the one before the version that served when the person asked, and where that cannot be trusted any
    more, the good one before it. So a colleague who asked at the same time goes no step further, and one who asks again
    while a roll-back is unfinished asks to finish it. Where a candidate is not `dark`, and users saw one, what served
    before it is meant.

    Raises:
        BadInputError: there is no such version, it never served, or it was retired; names those that may be asked for.
        DeclinedError: what the person wanted to leave does not serve any more, and neither does what was before it.
    """
    targets = _asked_for(history, request, dark=dark)
    there = [version for version in targets if history.retirement(version) is None]
    if not there:
        _require_files(history, targets[0])
    return there


def unproven(history: History, request: RollbackRequest) -> int | None:
    """The candidate that users saw when the person asked, where a candidate cannot be dark; None where it is gone."""
    candidate = history.state.candidate
    exposed = history.of_version(candidate, Event.EXPOSED) if candidate is not None else None
    return candidate if exposed and exposed.seq <= request.seen else None


def _asked_for(history: History, request: RollbackRequest, *, dark: bool) -> list[int]:
    begun = history.of_run(request.run_key, Event.ROLLED_BACK, Event.EXPOSED)
    if begun:
        return [begun.version]
    if request.to == "previous":
        then = history.until(request.seen).state
        if not dark and then.candidate is not None:
            return [_before_the_first_proof(history, then)]
        return _previous(history, request.seen)
    version = int(request.to)
    if not history.has_served(version):
        raise BadInputError(f"v{version} has never served. {_choices(history)}")
    return [version]


def _before_the_first_proof(history: History, then: State) -> int:
    """Users see the candidate, and what was before it is what serves."""
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
    """The next entry towards `target` serving, or its model under the number it was reissued with.

    Args:
        history: the journal.
        request: what was asked for.
        target: one of `targets_of`.
        loaded: whether a replica was seen to have the target in memory.
        dark: whether a version is loaded before it gets any traffic; else it is loaded when it does.
        taking_over: whether another roll-back has exposed the target and is not at work any more; it is exposed anew,
            so that nobody takes this one for abandoned too.

    Returns:
        None where the label is on the target, or where the target must be waited for.

    Raises:
        BadInputError: the target was retired since it was chosen.
        DeclinedError: this very roll-back has been carried out, and something else was decided since.
    """
    state = history.state
    if history.is_same_model(state.serving, target):
        return _free_the_seat(history, request) if dark else _take_back_unproven(history, request)
    done = history.of_run(request.run_key, Event.ROLLED_BACK)
    if done:
        raise DeclinedError(f"this roll-back made v{target} serve at {done.at:%H:%M:%S} UTC. {_last_move(history)}")
    _require_not_overtaken(history, request)
    _require_files(history, target)
    at_hand = (loaded and target in resident(state)) or not dark
    if state.leaving is not None and not (at_hand and state.leaving == target):
        return _let_go(history, state.leaving, reason=f"a newer roll-back, to v{target}, does not wait for it")
    if at_hand:
        after = transitions.roll_back(state, target, previous=history.previous_after(target), hold=request.hold)
        return Change(Event.ROLLED_BACK, target, request.reason, after)
    if state.candidate == target and not taking_over:
        return None
    return Change(Event.EXPOSED, target, f"to roll back to it: {request.reason}", transitions.expose(state, target))


def hold_promotions(history: History, *, request: RollbackRequest, target: int) -> Change | None:
    """The target served already, so that no entry of this roll-back has said yet that promotions are held.

    None where one has, where another hold lasts as long, and where somebody has lifted all holds since it was asked.

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
    """The target cannot be had: its seat goes back to `previous`. It was good and may be again."""
    if history.state.candidate != target:
        return None
    return Change(Event.RELEASED, target, reason, transitions.release(history.state))


def let_go(history: History, *, target: int, reason: str) -> Change | None:
    """Every replica answers from the target: the version it left goes.

    Raises:
        DeclinedError: another decision has been taken, and what leaves is its to say.
    """
    leaving = history.state.leaving
    if history.state.serving != target:
        raise DeclinedError(f"this roll-back made v{target} serve. {_last_move(history)}")
    if leaving is None:
        return None
    return _let_go(history, leaving, reason=reason)


def _let_go(history: History, leaving: int, *, reason: str) -> Change:
    """For good, unless what serves is newer: then a person has undone a roll-back, and said nothing against it."""
    serving = history.state.serving
    undone = serving is not None and history.is_older(leaving, serving)
    event = Event.RELEASED if undone else Event.WITHDRAWN
    return Change(event, leaving, reason, transitions.withdraw(history.state, leaving))


def unfinished(history: History) -> str | None:
    """What is left of a promotion or a roll-back that stopped, and the way out; None where there is nothing."""
    state = history.state
    if state.leaving is not None:
        return (
            f"not every replica has confirmed the roll-back from v{state.leaving} to v{state.serving}. To confirm it: "
            f"`understudy rollback --model <model> --to {state.serving} --reason why`; to leave "
            f"v{state.serving} too, use another number"
        )
    if is_half_promoted(history):
        return (
            f"the promotion of v{state.serving} is neither confirmed nor undone. In Airflow, clear `promote` or "
            f"`withdraw` of its run; or confirm it with `understudy rollback --model <model> --to {state.serving} "
            f"--reason why`"
        )
    entry = history.of_version(state.candidate, Event.EXPOSED) if state.candidate is not None else None
    if entry and is_rollback(entry.run_key):
        return (
            f"the roll-back of {entry.actor} to v{entry.version} has not moved any traffic: v{state.serving} still "
            f"serves. To finish it: `understudy rollback --model <model> --to {entry.version} --reason why`; to cancel "
            f"it: `understudy rollback --model <model> --to {state.serving} --reason why`"
        )
    return None


def _previous(history: History, seen: int) -> list[int]:
    then = history.until(seen)
    if then.state.leaving is not None and then.state.serving is not None:
        return [then.state.serving]
    target = then.state.previous if then.state.previous is not None else next(then.ways_back(then.state.serving), None)
    if target is None:
        raise BadInputError(f"there is no previous good version ({then.state}). {_choices(history)}")
    others = (version for version in then.ways_back(then.state.serving) if history.was_good(version))
    targets = [target, *(version for version in others if not history.is_same_model(version, target))]
    now = history.state.serving
    if now is not None and any(history.is_same_model(now, target) for target in targets):
        return [now]  # a colleague has gone back already, and perhaps further because the nearest could not be trusted
    if not history.is_same_model(now, then.state.serving):
        raise DeclinedError(
            f"v{then.state.serving}, which served when you asked, does not serve any more. {_last_move(history)}. If "
            f"that version is bad too: `understudy rollback --model <model> --to NUMBER --reason why`"
        )
    return targets


def _require_not_overtaken(history: History, request: RollbackRequest) -> None:
    """A decision that is newer than the request stands.

    For a number that is a promotion: it is about another version than the person knew. For `previous`, and for a
    roll-back that had begun, it is a colleague's roll-back as well. A person who still wants it asks again.
    """
    begun = history.of_run(request.run_key, Event.EXPOSED)
    since = begun.seq if begun else request.seen
    newer = (Event.PROMOTED, Event.ROLLED_BACK) if begun or request.to == "previous" else (Event.PROMOTED,)
    if any(e.event in newer and e.seq > since and e.run_key != request.run_key for e in history.entries):
        raise DeclinedError(f"another version was made to serve after this was asked for: {_last_move(history)}")


def _require_files(history: History, version: int) -> None:
    retired = history.retirement(version)
    if retired:
        raise BadInputError(
            f"v{version} was retired on {retired.at:%Y-%m-%d} ({retired.reason}): its files are deleted. "
            f"{_choices(history)}"
        )


def _free_the_seat(history: History, request: RollbackRequest) -> Change | None:
    """The target serves: what an older roll-back has left on the candidate's seat is given up."""
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
    served = sorted({e.version for e in history.entries if e.event is Event.PROMOTED})
    others = [
        f"v{v}" if history.was_good(v) else f"v{v} (taken back)"
        for v in served
        if v != history.state.serving and history.retirement(v) is None
    ]
    return "Other versions that have served: " + (", ".join(others) or "none")


def _last_move(history: History) -> str:
    entry = next((e for e in reversed(history.entries) if e.event in GIVEN_TRAFFIC), None)
    return f"v{entry.version} serves since {entry.at:%H:%M:%S} UTC, by {entry.actor}" if entry else "nothing serves"
