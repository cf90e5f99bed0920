"""Make another version serve: a person's decision, which waits for no retrain, no MLflow and no Airflow."""

import logging
from datetime import datetime
from functools import partial

from pipeline.context import Context
from pipeline.errors import BadInputError, CouldNotTellError, DeclinedError, FailedError
from pipeline.inspection.rollback_plan import plan, served_by
from pipeline.journal.entries import Event
from pipeline.journal.history import History
from pipeline.moments import NONE, hold_until
from pipeline.rollout.following import follow
from pipeline.rollout.without_bucket import telling
from pipeline.rules import rollback as rollback_rules
from pipeline.rules import run as run_rules
from pipeline.rules.rollback import Wish
from pipeline.rules.run import ROLLBACK_KIND
from pipeline.runs.records import RollbackRecord
from pipeline.validation import require_reason

log = logging.getLogger(__name__)


def wish_for(context: Context, *, to: str, reason: str, asked_at: datetime | None, hold: str = NONE) -> Wish:
    """What a person asked for at a moment, or, where that is None, asks for now.

    Raises:
        BadInputError: `hold` is neither `until lifted` nor `none` nor a moment to come.
        StorageError: the bucket does not answer.
    """
    held = hold_until(hold, now=asked_at or context.clock.now())
    log.info("reading the journal in %s", context.bucket.uri())
    with telling(context):
        history = context.journal.read()
    return Wish(context.run_key, to, reason, _seen(context, history, asked_at), held)


def _seen(context: Context, history: History, asked_at: datetime | None) -> int:
    """The last entry when a roll-back was asked for, which a clock says only where it agrees with the journal's."""
    now = context.clock.now()
    if asked_at is None or not history.entries:
        return history.seq
    ahead = (history.entries[-1].at - now).total_seconds()
    if ahead > 0:
        log.warning("the journal is dated %.0f s ahead of this clock. The roll-back counts as asked for now", ahead)
        return history.seq
    return history.seq_at(asked_at)


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
        raise BadInputError(f"{context.run_key!r} is not the key of a roll-back ({ROLLBACK_KIND}...). Leave --run out")
    require_reason(wish.reason, of="a roll-back")
    with telling(context):
        return context.records.find(RollbackRecord) or _roll_back(context, wish)


def _roll_back(context: Context, wish: Wish) -> RollbackRecord:
    start = context.clock.monotonic()
    target, words = plan(context, wish)
    log.info("%s", words)
    left = context.rollout.placement.answering(context.rollout.settle().state)
    _move(context, wish, target)
    history = context.journal.decide(partial(rollback_rules.hold_promotions, wish=wish, target=target))
    target, arrival = follow(context, history.state.serving or target)
    seconds = context.clock.monotonic() - start
    if arrival.overtaken:
        raise DeclinedError(f"another decision was made meanwhile: {context.journal.read().state}")
    if not arrival.complete:
        if all(standing.silent for standing in arrival.missing) and not arrival.there:
            # Nobody is left without an answer, and who comes back must not have to load what may have killed it.
            context.journal.decide(lambda history: rollback_rules.let_go(history, target=target, reason=wish.reason))
            context.rollout.settle()
        context.mirror(context.journal.read())
        raise CouldNotTellError(
            f"v{target} was set to serve {seconds:.1f} s ago. Not followed: {arrival}. Check these replicas, then run "
            f"`understudy rollback --model {context.model} --to {target} --reason why` (in Airflow: clear the "
            f"task) to confirm. To leave v{target} too, use another number"
        )
    context.journal.decide(lambda history: rollback_rules.let_go(history, target=target, reason=wish.reason))
    context.journal.decide(lambda history: run_rules.confirm(history, version=target))
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
            rollback_rules.next_step,
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
        raise DeclinedError(f"another decision was made meanwhile: {context.journal.read().state}")
    if arrival.there:
        return True  # the others are healed, or named, when the label has moved
    if all(standing.silent for standing in arrival.missing):
        return False
    problem = f"no replica could load v{target}: {arrival}"
    context.journal.decide(lambda history: rollback_rules.give_up(history, target=target, reason=problem))
    history = context.rollout.settle()
    raise FailedError(f"{problem}. {served_by(history.state)} still serves")
