"""Keep one version serving: nothing else is promoted until the hold is lifted."""

from functools import partial

from pipeline.context import RunContext
from pipeline.errors import CouldNotTellError
from pipeline.inspection.known_models import settled_history
from pipeline.inspection.rollback_plan import unproven_in_traffic
from pipeline.journal.history import History
from pipeline.rules import holds
from pipeline.rules.rollback import RollbackRequest
from pipeline.validation import require_reason
from pipeline.verbs.rollback import rollback


def pin(context: RunContext, request: RollbackRequest) -> History:
    """Make a version serve, if it does not, and let nothing else be promoted until somebody says so.

    Raises:
        BadInputError: no reason, or the version has never served; nothing was changed.
        DeclinedError: another decision was taken meanwhile, and nothing is pinned.
        FailedError: the version cannot be trusted, or no replica can load it; nothing is pinned.
        CouldNotTellError: it is pinned; names the replicas that did not follow.
    """
    require_reason(request.reason, of="a pin")
    version = int(request.to)
    rule = partial(holds.pin, version=version, reason=request.reason)
    history = settled_history(context)
    seen_by_users = unproven_in_traffic(context, history, request)
    if not _serves(context, version) or seen_by_users is not None:
        try:
            rollback(context, request)
        except CouldNotTellError:
            if _serves(context, version):
                context.journal.decide(rule)
            raise
    return context.journal.decide(rule)


def _serves(context: RunContext, version: int) -> bool:
    history = context.journal.read()
    return history.is_same_model(history.state.serving, version)
