"""Hold all promotions until a moment. Roll-backs are never held."""

from datetime import datetime
from functools import partial

from pipeline.context import RunContext
from pipeline.inspection.known_models import settled_history
from pipeline.journal.history import History
from pipeline.moments import moment
from pipeline.rules import holds
from pipeline.validation import require_reason


def freeze(context: RunContext, *, until: str, reason: str, asked_at: datetime | None = None) -> History:
    """Let nothing be promoted until a moment; a duration counts from `asked_at`, which is now unless it is said.

    Raises:
        BadInputError: no reason, no such model, or no moment that is still to come; nothing was changed.
        StorageError: the bucket refused, or the journal has lost its end.
    """
    require_reason(reason, of="a freeze")
    settled_history(context)
    now = context.clock.now()
    end = moment(until, now=asked_at or now)
    return context.journal.decide(partial(holds.freeze, until=end, reason=reason, now=now))
