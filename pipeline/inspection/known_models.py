"""Whether a model of a given name exists, and whether it was ever released."""

from pathlib import Path

from pipeline import layout
from pipeline.context import ModelContext
from pipeline.errors import BadInputError, StorageError
from pipeline.journal.history import History
from pipeline.model_files import model_files
from serving.model_names import is_model


def require_known(context: ModelContext) -> None:
    """Refuse a name that has no model file, no config and no journal: it was mistyped, or the settings are wrong.

    Raises:
        BadInputError: names every known model. Nothing was changed.
        StorageError: the bucket does not answer.
    """
    names = {path.stem for path in model_files(Path(context.settings.models))}
    if context.model in names or context.rollout.has_config():
        return
    problem = f"no journal in {context.bucket.uri()}"
    try:
        names.update(context.bucket.names(layout.JOURNALS), context.bucket.names(layout.FLEETS))
    except StorageError as error:
        problem = str(error)  # the folder of the bucket does not exist; only `init` gets here then
    if context.model in names:
        return
    known = ", ".join(sorted(name for name in names if is_model(name))) or "none"
    raise BadInputError(
        f"the model {context.model!r} does not exist: no file {context.settings.models}/{context.model}.yaml, and "
        f"{problem}. Known models: {known}. Nothing was changed. Correct --model, or UNDERSTUDY_ROOT and "
        f"UNDERSTUDY_MODELS"
    )


def require_released(context: ModelContext, history: History) -> None:
    """Refuse a model that was never released.

    Raises:
        BadInputError: there is no such model, or it has no release yet. Nothing was changed.
    """
    if not history.seq:
        require_known(context)
        raise BadInputError(
            f"{nothing_released(context)}. If replicas serve it, this is not their bucket: correct UNDERSTUDY_ROOT"
        )


def nothing_released(context: ModelContext) -> str:
    """A sentence for a model without a release."""
    return f"nothing was released yet for {context.model!r} in {context.bucket.uri()}"


def settled_history(context: ModelContext) -> History:
    """The history, before a manual decision is added to it; checked to be complete and of a model that exists.

    If entries were lost, a new one would take the number of a lost one, which could not be restored then.

    Raises:
        BadInputError: there is no such model, or this bucket holds nothing of it.
        StorageError: the bucket refused, or the journal has lost its last entries.
    """
    history = context.rollout.settle()
    if not history.seq and not context.rollout.has_config():
        require_known(context)
        raise BadInputError(
            f"{nothing_released(context)}, and the config does not exist. Correct UNDERSTUDY_ROOT, or run `understudy "
            f"init --model {context.model}` first"
        )
    return history
