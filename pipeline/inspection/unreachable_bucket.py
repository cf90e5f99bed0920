"""What a person on call needs to know when the bucket fails in the middle of a roll-back."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.context import ModelContext, RunContext, make_model_context
from pipeline.errors import CouldNotTellError, NewerVersionError, StorageError
from pipeline.fleets.known_fleet import KnownFleet, fleet_of_environment, names_replicas
from pipeline.rollout.without_bucket import answer
from pipeline.runs.run_key import is_rollback
from pipeline.settings import Settings

_BUCKET_WORKS = "When the bucket works again"


@contextmanager
def explained(context: RunContext) -> Iterator[None]:
    """If the bucket fails inside the block, its error also says what was done, what was not, and what to do next.

    Raises:
        NewerVersionError, StorageError: instead of the one raised inside.
    """
    try:
        yield
    except NewerVersionError as error:
        raise NewerVersionError(f"{error}. {_what_is_known(context, again='With the newer version')}") from error
    except StorageError as error:
        raise StorageError(f"{error}. {_what_is_known(context, again=_BUCKET_WORKS)}") from error


def explained_before(error: StorageError, settings: Settings, *, model: str, run_key: str) -> StorageError:
    """The error for a verb that could not read the fleet record, so before it did anything.

    For a roll-back it says what each replica of the environment answers, and what to do next.
    """
    if not is_rollback(run_key) or isinstance(error, NewerVersionError):
        return error
    none_written = "The bucket contains these entries of this roll-back, as far as is known: none"
    if not names_replicas(settings):
        return StorageError(
            f"{error}. {none_written}. Which replicas exist is recorded in the bucket; name them with "
            f"UNDERSTUDY_REPLICAS=host:port,host:port to see what they answer. {_BUCKET_WORKS}, run the same command "
            f"with --run {run_key}. Until then, servers of the roll-out pinned can be asked without it: "
            f"UNDERSTUDY_REPLICAS=host:port,host:port understudy rollback --model {model} --to NUMBER "
            f"--without-bucket"
        )
    context = make_model_context(settings, model=model, known=KnownFleet(fleet_of_environment(settings)))
    return StorageError(f"{error}. {none_written}. {_next_steps(context, run_key, again=_BUCKET_WORKS)}")


def _what_is_known(context: RunContext, *, again: str) -> str:
    # Those that this process has read or written: the bucket is not asked.
    written = [entry for entry in context.journal.known.recent if entry.run_key == context.run_key]
    entries = ", ".join(f"entry {entry.seq} (v{entry.version} {entry.event})" for entry in written)
    return (
        f"The bucket contains these entries of this roll-back, as far as is known: {entries or 'none'}. "
        f"{_next_steps(context, context.run_key, again=again)}"
    )


def _next_steps(context: ModelContext, run_key: str, *, again: str) -> str:
    try:
        addresses = context.replicas.addresses()
    except CouldNotTellError as error:
        return f"Which replicas exist is unknown ({error}). {again}, run the same command with --run {run_key}"
    answers = ", ".join(f"{found.address}: {answer(found)}" for found in context.replicas.look(addresses))
    return (
        f"Each replica answers now: {answers}. {again}, run the same command with --run {run_key}"
        f"{context.rollout.placement.without_bucket(addresses)}"
    )
