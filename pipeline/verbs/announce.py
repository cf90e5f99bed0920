"""List the changes of the serving version that were not announced yet. Reads the journal; the caller announces them."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from pipeline.context import ModelContext
from pipeline.inspection.known_models import require_known
from pipeline.journal.announcements import extra_of, unannounced


def announce(
    context: ModelContext, *, announced: Sequence[Mapping[str, Any]], grace: timedelta
) -> list[dict[str, Any]]:
    """List each change that is to be announced, the oldest first, as JSON that identifies it.

    Args:
        context: the model.
        announced: what earlier calls returned and was announced, in any order; other things in it do not count.
        grace: how old a change must be. Whoever made it is given this time to announce it.

    Raises:
        BadInputError: there is no such model.
        StorageError: the bucket does not answer.
    """
    history = context.journal.read()
    if not history.seq:
        require_known(context)
    until = context.clock.now() - grace
    return [extra_of(change) for change in unannounced(history, announced, until=until)]
