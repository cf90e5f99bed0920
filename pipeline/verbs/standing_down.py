"""A run gives up its own candidate because the world has moved on. Used by the verbs that decline."""

from pipeline.context import Context
from pipeline.rules import run as run_rules


def stand_down(context: Context, version: int, *, reason: str) -> None:
    """Give up `version` unless it has ever served, and let the config say so."""
    key = context.run_key
    context.journal.decide(lambda history: run_rules.stand_down(history, version=version, run_key=key, reason=reason))
    context.mirror(context.rollout.settle())
