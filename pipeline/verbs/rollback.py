"""Make another version serve: a person's decision, which waits for no retrain, no MLflow and no Airflow."""

import logging
from datetime import datetime
from functools import partial

from pipeline.context import Context
from pipeline.errors import (
    BadInputError,
    CouldNotTellError,
    DamagedError,
    DeclinedError,
    FailedError,
    MissingError,
    StorageError,
)
from pipeline.records import CanaryRecord, RollbackRecord
from pipeline.release import decisions, going_back
from pipeline.release.decisions import ROLLBACK_KIND
from pipeline.release.going_back import Wish
from pipeline.release.journal import Event, History
from pipeline.release.state import State
from pipeline.validation import require_reason
from pipeline.verbs.following import follow
from pipeline.verbs.without_bucket import telling

log = logging.getLogger(__name__)


def wish_for(context: Context, *, to: str, reason: str, asked_at: datetime | None) -> Wish:
    """What a person asked for at a moment, or, where that is None, asks for now.

    Raises:
        StorageError: the bucket does not answer.
    """
    log.info("reading the journal in %s", context.bucket.uri())
    with telling(context):
        history = context.journal.read()
    return Wish(context.run_key, to, reason, _seen(context, history, asked_at))


def _seen(context: Context, history: History, asked_at: datetime | None) -> int:
    """The last entry when a roll-back was asked for, which a clock says only where it agrees with the journal's."""
    now = context.clock.now()
    if asked_at is None or not history.entries:
        return history.seq
    ahead = (history.entries[-1].at - now).total_seconds()
    if ahead > 0:
        log.warning("the journal is dated %.0f s ahead of this clock; taking the roll-back as asked for now", ahead)
        return history.seq
    return history.seq_at(asked_at)


def plan(context: Context, wish: Wish) -> tuple[int, str]:
    """The target, and in words what a roll-back to it will do and how long that takes.

    Raises:
        BadInputError: there is no such target, the bucket's servers are on another roll-out, or every replica serves
            another model.
        FailedError: no target can be trusted: its files are gone, or are not what was approved.
        DeclinedError: what the person wanted to leave does not serve any more.
    """
    history = context.journal.read()
    if not history.entries:
        raise BadInputError(
            f"nothing was ever released for {context.model!r} in {context.bucket.uri()}; if something serves, this is "
            f"not the bucket of its servers: see UNDERSTUDY_ROOT"
        )
    context.rollout.require_this_rollout()
    if context.rollout.placement.dark:  # else nothing is ever sent to a server
        context.rollout.require_own_fleet(any_is_enough=True)
    target = _trusted_target(context, history, wish)
    dark = context.rollout.placement.dark
    candidate = None if dark else going_back.unproven(history, wish)
    if history.is_same_model(history.state.serving, target) and candidate is None:
        told = f"v{target} is serving already; nothing to move"
        left = going_back.unfinished(history)
        return target, f"{told} ({left})" if left else told
    left = f"v{candidate}, being proven," if candidate is not None else _served_by(history.state)
    words = f"{left} -> v{target}"
    taken_back = history.withdrawal(target)
    if taken_back:
        words += f" (v{target} was {taken_back.event} on {taken_back.at:%Y-%m-%d %H:%M} UTC: {taken_back.reason})"
    pinned = history.state.pinned
    if pinned is not None and not history.is_same_model(pinned, target):
        words += f"; v{pinned} is pinned no longer then"
    return target, f"{words}; {_forecast(context, target, history)}"


def _forecast(context: Context, target: int, history: History) -> str:
    """What has to happen until every replica answers from the target, and how long that takes."""
    poll = context.settings.config_poll_seconds
    if not context.rollout.placement.dark:
        took = _load_seconds(context, target, history)
        return f"every replica sees it within a poll, and loads it: about {took:.0f} s"
    loaded = context.rollout.is_loaded_somewhere(target)
    if loaded is None:
        return "no replica gives an answer, so it is written down for when they are back"
    if loaded:
        return f"it is in memory: one poll of the replicas' config, {poll:g} s"
    took = _load_seconds(context, target, history)
    return f"it is not in memory and is loaded first: about {took:.0f} s, then one poll, {poll:g} s"


def rollback(context: Context, wish: Wish) -> RollbackRecord:
    """Do it, and wait until every replica answers from the target.

    Repeated with the same run key it finishes what it began, and once it is carried out it is never done again.

    Raises:
        BadInputError: no reason, or no such target; nothing was changed.
        DeclinedError: what was asked for is overtaken by another decision; nothing was changed.
        FailedError: no target can be trusted, or no replica can load it; what served still serves.
        CouldNotTellError: traffic has moved where a replica answered; names those that did not follow.
        StorageError: the bucket does not answer; says what was written until then, and what each replica answers.
    """
    if not context.run_key.startswith(ROLLBACK_KIND):
        raise BadInputError(f"{context.run_key!r} is not the key of a roll-back ({ROLLBACK_KIND}...); leave --run out")
    require_reason(wish.reason, of="a roll-back")
    with telling(context):
        return context.records.find(RollbackRecord) or _roll_back(context, wish)


def _roll_back(context: Context, wish: Wish) -> RollbackRecord:
    start = context.clock.monotonic()
    target, words = plan(context, wish)
    log.info("%s", words)
    left = context.rollout.placement.answering(context.rollout.settle().state)
    _move(context, wish, target)
    target, arrival = follow(context, context.journal.read().state.serving or target)
    seconds = context.clock.monotonic() - start
    if arrival.overtaken:
        raise DeclinedError(f"another decision was taken meanwhile: {context.journal.read().state}")
    if not arrival.complete:
        if all(standing.silent for standing in arrival.missing) and not arrival.there:
            # Nobody is left without an answer, and who comes back must not have to load what may have killed it.
            context.journal.decide(lambda history: going_back.let_go(history, target=target, reason=wish.reason))
            context.rollout.settle()
        context.mirror(context.journal.read())
        raise CouldNotTellError(
            f"v{target} should serve since {seconds:.1f} s; not followed: {arrival}. Look at those replicas, then "
            f"clear this task, or roll back --to {target}, to confirm; to leave v{target} too, give another number"
        )
    context.journal.decide(lambda history: going_back.let_go(history, target=target, reason=wish.reason))
    context.journal.decide(lambda history: decisions.confirm(history, version=target))
    context.mirror(context.rollout.settle())
    return context.records.finish(
        RollbackRecord(version=target, left=left, seconds=round(seconds, 2), replicas=arrival.there)
    )


def _move(context: Context, wish: Wish, target: int) -> None:
    """Write and carry out one step after another until the label is on the target."""
    dark = context.rollout.placement.dark
    nobody_answers = False
    while True:
        loaded = context.rollout.is_loaded_somewhere(target) if dark else None
        step = partial(
            going_back.next_step,
            wish=wish,
            target=target,
            loaded=bool(loaded) or nobody_answers,
            dark=dark,
            taking_over=_is_left_behind(context, target),
        )
        history = context.journal.decide(step)
        context.rollout.settle()
        if history.is_same_model(history.state.serving, target):
            return
        if not dark:
            continue
        if history.state.candidate == target and not loaded:
            nobody_answers = not _load(context, target)
        elif loaded is None:
            nobody_answers = not context.rollout.wait_loaded(target, best_effort=True).there


def _is_left_behind(context: Context, target: int) -> bool:
    """Whether a colleague has exposed the target so long ago that nobody is waiting for it any more."""
    history = context.journal.read()
    exposed = history.of_version(target, Event.EXPOSED) if history.state.candidate == target else None
    if exposed is None or exposed.run_key == context.run_key:
        return False
    return (context.clock.now() - exposed.at).total_seconds() > context.settings.load_seconds


def _load(context: Context, target: int) -> bool:
    """Whether a replica has loaded the target; not, where none gives an answer: then those that come back will."""
    arrival = context.rollout.wait_loaded(target, best_effort=True)
    if arrival.overtaken:
        raise DeclinedError(f"another decision was taken meanwhile: {context.journal.read().state}")
    if arrival.there:
        return True  # the others are healed, or named, when the label has moved
    if all(standing.silent for standing in arrival.missing):
        return False
    problem = f"v{target} is loaded by no replica: {arrival}"
    context.journal.decide(lambda history: going_back.give_up(history, target=target, reason=problem))
    history = context.rollout.settle()
    raise FailedError(f"{problem}; {_served_by(history.state)} still serves")


def _served_by(state: State) -> str:
    return f"v{state.serving}" if state.serving is not None else "nothing"


def _trusted_target(context: Context, history: History, wish: Wish) -> int:
    """The first target whose files are what was approved: a replica that restarts must be able to load it."""
    problems = []
    for target in going_back.targets_of(history, wish, dark=context.rollout.placement.dark):
        if history.is_same_model(target, history.state.serving):
            return target
        try:
            context.manifests.look_over(target, history)
        except (DamagedError, MissingError) as error:
            log.warning("v%d cannot be trusted: %s", target, error)
            problems.append(f"v{target}: {error}")
        else:
            return target
    way_out = "" if wish.to == "previous" else "; restore its files, or give --to previous"
    raise FailedError(f"not trusted: {'; '.join(problems)}. {_served_by(history.state)} still serves{way_out}")


def _load_seconds(context: Context, target: int, history: History) -> float:
    """How long the target took to load when it was proven, as a forecast."""
    records = context.records_of(target, history)
    try:
        proven = records.find(CanaryRecord) if records else None
    except StorageError:
        proven = None  # nobody waits for a forecast
    return (proven.load_seconds if proven else None) or context.settings.load_seconds
