"""What a roll-back will do, before it does any of it: the target, the steps, and how long they take."""

import logging
from datetime import datetime

from pipeline.commands import with_model
from pipeline.context import RunContext
from pipeline.errors import DamagedError, FailedError, MissingError, NewerVersionError, StorageError
from pipeline.inspection.known_models import require_released
from pipeline.journal.history import History
from pipeline.journal.state import State
from pipeline.moments import longest, until_text
from pipeline.rules import holds
from pipeline.rules import rollback as rollback_rules
from pipeline.rules.rollback import RollbackRequest
from pipeline.runs.records import CanaryRecord

log = logging.getLogger(__name__)


def plan(context: RunContext, request: RollbackRequest) -> tuple[int, str]:
    """The target, and sentences for a person on what a roll-back to it will do and how long that takes.

    Changes nothing.

    Raises:
        BadInputError: there is no such model or target, nothing was released yet, the bucket's servers are on another
            roll-out, or every replica serves another model.
        FailedError: the files of every target are missing, or are not what was approved.
        DeclinedError: what the person wanted to leave does not serve any more.
    """
    history = context.journal.read()
    require_released(context, history)
    context.rollout.require_this_rollout()
    context.strategy.require_own_fleet()
    target = trusted_target(context, history, request)
    candidate = unproven_in_traffic(context, history, request)
    if history.is_same_model(history.state.serving, target) and candidate is None:
        words = f"v{target} serves already. Nothing is changed"
        left = rollback_rules.unfinished(history)
        words = f"{words} ({left})" if left else words
        return target, with_model(f"{words}{_promotions_afterwards(context, request, target, history)}", context.model)
    where = " in the first ring" if history.state.first_ring_only else ""
    left = f"v{candidate}, a candidate under test{where}," if candidate is not None else served_by(history.state)
    words = f"{left} will be replaced by v{target}"
    if request.to == "previous":
        words = f"`previous` is v{target}: {words}"
    taken_back = history.withdrawal(target)
    if taken_back:
        words += f" (v{target} was {taken_back.event} on {taken_back.at:%Y-%m-%d %H:%M} UTC: {taken_back.reason})"
    words = f"{words}; {context.strategy.forecast(target, load_seconds=_load_seconds(context, target, history))}"
    return target, f"{words}{_promotions_afterwards(context, request, target, history)}"


def _promotions_afterwards(context: RunContext, request: RollbackRequest, target: int, history: History) -> str:
    """A sentence on whether the next retrain may replace the target, and how to change that."""
    state, now = history.state, context.clock.now()
    unpinned = state.pinned is not None and not history.is_same_model(state.pinned, target)
    until = longest(state.held_until, request.hold, "lifted" if unpinned else None)
    if until is None or (isinstance(until, datetime) and until <= now):
        held_otherwise = holds.active_holds(history, now=now)
        return "" if held_otherwise else ". Promotions are not held afterwards: the next retrain may replace it"
    ends = f". The pin of v{state.pinned} ends" if unpinned else ""
    return f"{ends}. Promotions are then held until {until_text(until)}. {holds.how_to_lift(context.model)}"


def unproven_in_traffic(context: RunContext, history: History, request: RollbackRequest) -> int | None:
    """The candidate that users saw when the roll-back was asked for; None if candidates get no traffic."""
    candidate = rollback_rules.unproven(history, request)
    return candidate if context.rollout.placement.answering(history.state, first_ring=True) == candidate else None


def served_by(state: State) -> str:
    """The serving version as text, for example `v3`; `nothing` if none serves."""
    return f"v{state.serving}" if state.serving is not None else "nothing"


def trusted_target(context: RunContext, history: History, request: RollbackRequest) -> int:
    """The first target whose files are what was approved, so that a replica that restarts can load it.

    One that this version cannot check, because a newer version wrote its manifest, is not a target either.

    Raises:
        BadInputError, DeclinedError: as `plan`.
        FailedError: there is none; names the problem of each.
    """
    problems, reason = [], ""
    for target in context.strategy.targets(history, request):
        if history.is_same_model(target, history.state.serving):
            return target
        try:
            context.manifests.verify_checksums(target, history)
        except (DamagedError, MissingError) as error:
            log.warning("v%d cannot be used, its files are damaged: %s", target, error)
            problems.append(f"v{target}: {error}")
            reason = ", because files are damaged"
        except NewerVersionError as error:
            log.warning("v%d is skipped, because it cannot be checked: %s", target, error)
            problems.append(f"v{target}: {error}")
        else:
            return target
    way_out = "choose a version with --to NUMBER" if request.to == "previous" else "use --to previous"
    raise FailedError(
        f"no version to roll back to can be used{reason}: {'; '.join(problems)}. {served_by(history.state)} still "
        f"serves. {'Restore the files' if reason else 'Use the newer version'}, or {way_out}"
    )


def _load_seconds(context: RunContext, target: int, history: History) -> float:
    """How long the target took to load when it was proven; the time limit if that is not known."""
    records = context.records_of(target, history)
    try:
        proven = records.find(CanaryRecord) if records else None
    except StorageError as error:
        proven = None  # a forecast is worth no waiting
        log.warning("the load time of v%d is not known: %s", target, error)
    return (proven.load_seconds if proven else None) or context.fleet.load_seconds
