"""What can be said and done for the person on call while the bucket does not answer: only replicas are asked."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline import layout
from pipeline.context import Context
from pipeline.errors import BadInputError, CouldNotTellError, StorageError
from pipeline.release.healing import handed_config
from serving.errors import ServingError
from serving.replica import STABLE

# The poll that is under way, and one that has begun since.
_POLLS = 2.5


@contextmanager
def telling(context: Context) -> Iterator[None]:
    """Where the bucket fails inside the block, its error also says what was done, what was not, and the way out."""
    try:
        yield
    except StorageError as error:
        raise StorageError(f"{error}. {_what_is_known(context)}") from error


def _what_is_known(context: Context) -> str:
    written = [entry for entry in context.journal.known.entries if entry.run_key == context.run_key]
    entries = ", ".join(f"entry {entry.seq} (v{entry.version} {entry.event})" for entry in written)
    answers = ", ".join(f"{address} {_answer(context, address)}" for address in context.rollout.fleet.addresses())
    return (
        f"Known to be written by this roll-back: {entries or 'nothing'}. The label answers now: {answers}. When the "
        f"bucket answers again, give the same command with --run {context.run_key}; to move the label on the replicas "
        f"meanwhile, give --to a number and --without-bucket"
    )


def move_label(context: Context, to: str) -> None:
    """Point the label at a version that replicas have in memory, by asking each of them; the bucket is not touched.

    Raises:
        BadInputError: `to` is not a number; the journal, which knows what "previous" is, cannot be read.
        CouldNotTellError: always, because nothing of it is recorded; says what each replica answers two polls later.
    """
    if to == "previous":
        raise BadInputError("without the bucket nobody knows which version is the previous one; give --to a number")
    version = int(to)
    addresses = context.rollout.fleet.addresses()
    problems = {address: _hand_over(context, address, version) for address in addresses}
    context.clock.sleep(_POLLS * context.settings.config_poll_seconds)
    told = [f"{address} {problems[address] or _answer(context, address)}" for address in addresses]
    raise CouldNotTellError(
        f"asked to answer from v{version}, the replicas say: {', '.join(told)}. Nothing of this is recorded, and a "
        f"replica that can read its config goes back to it: roll back --to {version} when the bucket answers again"
    )


def _hand_over(context: Context, address: str, version: int) -> str:
    """Why the label was not moved there; empty where it was."""
    base_path = context.bucket.uri(layout.versions(context.model))
    with context.rollout.fleet.connect(address, timeout=context.settings.rpc_seconds) as replica:
        try:
            loaded = {each.version for each in replica.statuses(context.model) if each.available}
            if version not in loaded:
                return f"has v{version} not in memory, only {sorted(loaded)}"
            replica.reload(handed_config(context.model, base_path, versions=loaded, label=version))
        except ServingError as error:
            return error.told
    return ""


def _answer(context: Context, address: str) -> str:
    with context.rollout.fleet.connect(address, timeout=context.settings.rpc_seconds) as replica:
        try:
            behind = replica.version_behind(context.model, STABLE)
        except ServingError as error:
            return f"gives no answer ({error.told})"
    return f"v{behind}" if behind is not None else "nothing"
