"""Lift every hold of promotions."""

from functools import partial

from pipeline.context import RunContext
from pipeline.inspection.known_models import settled_history
from pipeline.journal.history import History
from pipeline.rules import holds
from pipeline.validation import require_reason


def unfreeze(context: RunContext, *, reason: str) -> History:
    """Let promotions go on, whatever held them: a pin, a freeze, or both.

    Raises:
        BadInputError: no reason, or no such model; nothing was changed.
        StorageError: as `freeze`.
    """
    require_reason(reason, of="unfreeze")
    settled_history(context)
    return context.journal.decide(partial(holds.unfreeze, reason=reason))
