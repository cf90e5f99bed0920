"""A person holds promotions, and lets go again. Roll-backs are never held."""

from datetime import datetime
from functools import partial

from pipeline.context import Context
from pipeline.errors import BadInputError, CouldNotTellError
from pipeline.inspection.known_models import nothing_released, require_known
from pipeline.journal.history import History
from pipeline.moments import moment
from pipeline.rules import holds
from pipeline.rules import rollback as rollback_rules
from pipeline.rules.rollback import Wish
from pipeline.validation import require_reason
from pipeline.verbs.rollback import rollback


def pin(context: Context, wish: Wish) -> History:
    """Make a version serve, if it does not, and let nothing else be promoted until somebody says so.

    Raises:
        BadInputError: no reason, or the version has never served; nothing was changed.
        DeclinedError: another decision was taken meanwhile, and nothing is pinned.
        FailedError: the version cannot be trusted, or no replica can load it; nothing is pinned.
        CouldNotTellError: it is pinned; names the replicas that did not follow.
    """
    require_reason(wish.reason, of="a pin")
    version = int(wish.to)
    rule = partial(holds.pin, version=version, reason=wish.reason)
    history = settled_history(context)
    seen_by_users = rollback_rules.unproven(history, wish) if not context.rollout.placement.dark else None
    if not _serves(context, version) or seen_by_users is not None:
        try:
            rollback(context, wish)
        except CouldNotTellError:
            if _serves(context, version):
                context.journal.decide(rule)
            raise
    return context.journal.decide(rule)


def settled_history(context: Context) -> History:
    """The history, before a person's word is added to it: of a model that exists, and whole.

    A word that followed a lost end would take the numbers of lost entries, which could not be restored then.

    Raises:
        BadInputError: there is no such model, or this bucket has nothing of it.
        StorageError: the bucket refused, or the journal has lost its end.
    """
    history = context.rollout.settle()
    if not history.entries and context.rollout.config() is None:
        require_known(context)
        raise BadInputError(
            f"{nothing_released(context)}, and the config does not exist. Correct UNDERSTUDY_ROOT, or run `understudy "
            f"init --model {context.model}` first"
        )
    return history


def _serves(context: Context, version: int) -> bool:
    history = context.journal.read()
    return history.is_same_model(history.state.serving, version)


def freeze(context: Context, *, until: str, reason: str, asked_at: datetime | None = None) -> History:
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


def unfreeze(context: Context, *, reason: str) -> History:
    """Let promotions go on, whatever held them: a pin, a freeze, or both.

    Raises:
        BadInputError: no reason, or no such model; nothing was changed.
        StorageError: as `freeze`.
    """
    require_reason(reason, of="unfreeze")
    settled_history(context)
    return context.journal.decide(partial(holds.unfreeze, reason=reason))
