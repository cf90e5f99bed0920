"""What a person on call needs to know when the bucket fails in the middle of a roll-back."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.context import RunContext
from pipeline.errors import CouldNotTellError, StorageError
from pipeline.rollout.without_bucket import answer


@contextmanager
def explained(context: RunContext) -> Iterator[None]:
    """If the bucket fails inside the block, its error also says what was done, what was not, and what to do next.

    Raises:
        StorageError: instead of the one raised inside.
    """
    try:
        yield
    except StorageError as error:
        raise StorageError(f"{error}. {_what_is_known(context)}") from error


def _what_is_known(context: RunContext) -> str:
    written = [entry for entry in context.journal.known.entries if entry.run_key == context.run_key]
    entries = ", ".join(f"entry {entry.seq} (v{entry.version} {entry.event})" for entry in written)
    return (
        f"The bucket contains these entries of this roll-back, as far as is known: {entries or 'none'}. "
        f"{_what_replicas_answer(context)}. "
        f"When the bucket works again, run the same command with --run {context.run_key}"
        f"{context.rollout.placement.without_bucket}"
    )


def _what_replicas_answer(context: RunContext) -> str:
    try:
        addresses = context.replicas.addresses()
    except CouldNotTellError as error:
        return f"Which replicas exist is unknown ({error})"
    answers = ", ".join(f"{found.address}: {answer(found)}" for found in context.replicas.look(addresses))
    return f"Each replica answers now: {answers}"
