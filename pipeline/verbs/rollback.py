"""Make another version serve: a person's decision, which waits for no retrain, no MLflow and no Airflow."""

import logging
import time
from datetime import datetime

from pipeline import layout
from pipeline.context import Context
from pipeline.errors import BadInputError, CouldNotTellError, FailedError
from pipeline.records import CanaryRecord
from pipeline.release import decisions
from pipeline.release.journal import Change, History
from pipeline.release.state import resident

log = logging.getLogger(__name__)


def plan(context: Context, *, to: str, asked_at: datetime) -> tuple[int, str]:
    """The target, and in words what a roll-back to it will do and how long that takes.

    Raises:
        BadInputError: there is no such target, or its files are gone.
    """
    history = context.journal.read()
    target = decisions.target_of(history, run_key=context.run_key, to=to, asked_at=asked_at)
    state = history.state
    if state.serving == target:
        return target, f"v{target} is serving already; nothing to do"
    _require_files(context, target)
    poll = context.settings.config_poll_seconds
    words = f"v{state.serving} -> v{target}"
    taken_back = history.withdrawal(target)
    if taken_back:
        words += f" (v{target} was withdrawn on {taken_back.at:%Y-%m-%d %H:%M} UTC: {taken_back.reason})"
    if target in resident(state):
        return target, f"{words}; it is in memory on every replica: one poll of their config, {poll:g} s"
    took = _load_seconds(context, target, history)
    return target, f"{words}; it is not in memory and is loaded first: about {took:.0f} s, then one poll, {poll:g} s"


def rollback(context: Context, *, to: str, reason: str, asked_at: datetime) -> dict[str, object]:
    """Bring `to` to serve and wait until every replica answers from it; what was done, for the log.

    Repeated with the same run key it finishes what it began and goes no step further.

    Raises:
        BadInputError: no reason, or no such target; nothing was changed.
        FailedError: the target cannot be loaded; what served still serves.
        CouldNotTellError: traffic has moved where a replica answered; names those that did not follow.
    """
    if not reason.strip():
        raise BadInputError("a roll-back needs a reason; the history keeps it for whoever asks later")
    start = time.monotonic()
    context.rollout.settle()
    target, words = plan(context, to=to, asked_at=asked_at)
    log.info("%s", words)
    left = context.journal.read().state.serving
    history = _move(context, target, reason=reason)
    arrival = context.rollout.wait_followed(target, spare_silent=True)
    seconds = time.monotonic() - start
    if not arrival.complete:
        context.mirror(history)
        raise CouldNotTellError(
            f"v{target} is what should serve since {seconds:.1f} s; not followed: {arrival}. "
            f"Each follows when it can read its config; run the same roll-back again to confirm"
        )
    history = _finish(context, reason=reason)
    context.mirror(history)
    return {"version": target, "left": left, "seconds": round(seconds, 2), "replicas": list(arrival.there)}


def _move(context: Context, target: int, *, reason: str) -> History:
    """Write and carry out one step after another until the label is on the target."""
    while True:
        history = context.journal.decide(lambda history: decisions.roll_back(history, target=target, reason=reason))
        context.rollout.settle()
        state = history.state
        if state.serving == target:
            return history
        if state.candidate == target:
            _load(context, target, serving=state.serving)


def _load(context: Context, target: int, *, serving: int | None) -> None:
    arrival = context.rollout.wait_loaded(target, serving=serving, spare_silent=True)
    if arrival.there and all(standing.silent for standing in arrival.missing):
        return
    problem = f"v{target} cannot be loaded: {arrival}"
    context.journal.decide(lambda history: decisions.withdraw(history, version=target, reason=problem))
    history = context.rollout.settle()
    raise FailedError(f"{problem}; v{history.state.serving} still serves")


def _finish(context: Context, *, reason: str) -> History:
    """Every replica answers from the target: the version it left goes out of memory, an older good one comes in."""

    def let_go(history: History) -> Change | None:
        leaving = history.state.leaving
        return None if leaving is None else decisions.withdraw(history, version=leaving, reason=reason)

    context.journal.decide(let_go)
    return context.rollout.settle()


def _require_files(context: Context, target: int) -> None:
    if not context.bucket.exists(f"{layout.version(context.model, target)}/saved_model.pb"):
        raise BadInputError(
            f"v{target} has no files at {layout.version(context.model, target)} any more; choose another with --to"
        )


def _load_seconds(context: Context, target: int, history: History) -> float:
    """How long the target took to load when it was proven, as a forecast."""
    records = context.records_of(target, history)
    proven = records.find(CanaryRecord) if records else None
    return (proven.load_seconds if proven else None) or context.settings.load_seconds
