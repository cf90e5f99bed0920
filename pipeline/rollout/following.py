"""Wait until traffic gets a version everywhere, and help replicas that cannot get there. Used by verbs that go back."""

import logging
from functools import partial

from pipeline.context import Context
from pipeline.rollout.waiting import Arrival
from pipeline.rules import run as run_rules

log = logging.getLogger(__name__)


def follow(context: Context, version: int) -> tuple[int, Arrival]:
    """Wait where replicas give an answer; the number that its model serves under in the end, and how the wait ended."""
    arrival = context.rollout.wait_followed(version, best_effort=True)
    new = reissue(context, version, arrival)
    return (new, context.rollout.wait_followed(new, best_effort=True)) if new is not None else (version, arrival)


def reissue(context: Context, version: int, arrival: Arrival) -> int | None:
    """Give the model of `version` a new number where a replica that speaks did not arrive.

    The number it has now, by this call or a colleague's; None where there is none, or it would be no help: in the
    pinned roll-out such a replica is healed by itself.
    """
    stuck = [standing for standing in arrival.missing if not standing.silent]
    if context.rollout.placement.dark or arrival.overtaken or not stuck:
        return None
    told = "; ".join(f"{standing.address}: {standing.told}" for standing in stuck)
    history = context.journal.decide(
        partial(
            run_rules.reissue, version=version, reason=f"not followed by {told}; a new number every server takes up"
        )
    )
    context.rollout.settle()
    new = history.state.serving
    if new is None or new == version or not history.is_same_model(new, version):
        return None
    log.warning("v%d is v%d under a new number, because of %s", new, version, told)
    return new
