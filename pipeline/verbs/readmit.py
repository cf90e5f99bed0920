"""A person lets a model come back that was withdrawn."""

from functools import partial

from pipeline.context import RunContext
from pipeline.inspection.known_models import settled_history
from pipeline.journal.history import History
from pipeline.rules import readmission
from pipeline.validation import require_reason


def readmit(context: RunContext, *, version: int, reason: str) -> History:
    """Let the model of a withdrawn version be published again, under a new number.

    Raises:
        BadInputError: no reason, no such model, or the version is not withdrawn; nothing was changed.
        StorageError: the bucket refused, or the journal has lost its end.
    """
    require_reason(reason, of="readmit")
    settled_history(context)
    return context.journal.decide(partial(readmission.readmit, version=version, reason=reason))
