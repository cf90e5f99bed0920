"""A run gives up its own candidate because the world has moved on. Used by the verbs that decline."""

from pipeline.context import Context
from pipeline.release import decisions


def stand_down(context: Context, version: int, *, reason: str) -> None:
    """Give up `version` unless it serves, and let the config say so. What serves is not touched."""
    context.journal.decide(lambda history: decisions.stand_down(history, version=version, reason=reason))
    context.mirror(context.rollout.settle())
