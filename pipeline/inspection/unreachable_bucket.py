"""What a person on call needs to know when the bucket fails in the middle of a roll-back."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.context import RunContext
from pipeline.errors import NewerVersionError, StorageError
from pipeline.rollout.without_bucket import answer


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
        raise StorageError(f"{error}. {_what_is_known(context, again='When the bucket works again')}") from error


def _what_is_known(context: RunContext, *, again: str) -> str:
    written = [entry for entry in context.journal.known.entries if entry.run_key == context.run_key]
    entries = ", ".join(f"entry {entry.seq} (v{entry.version} {entry.event})" for entry in written)
    answers = ", ".join(f"{address}: {answer(context.replicas, address)}" for address in context.replicas.addresses())
    return (
        f"The bucket contains these entries of this roll-back, as far as is known: {entries or 'none'}. Each replica "
        f"answers now: {answers}. "
        f"{again}, run the same command with --run {context.run_key}"
        f"{context.rollout.placement.without_bucket}"
    )
