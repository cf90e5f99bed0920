"""What can be said and done for the person on call while the bucket does not answer: only replicas are asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from pipeline.context import Context
from pipeline.errors import BadInputError, CouldNotTellError, StorageError
from pipeline.inspection.findings import ask
from pipeline.rollout.healing import handed_config
from pipeline.rollout.other_models import OtherModels
from serving.errors import ServingError
from serving.replica import STABLE


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
    way_out = (
        "; where the replicas cannot read their config either, --without-bucket and --to a number move the label "
        "meanwhile"
    )
    return (
        f"Known to be written by this roll-back: {entries or 'nothing'}. Users are answered now: {answers}. When that "
        f"is mended, give the same command with --run {context.run_key}"
        f"{way_out if context.rollout.placement.dark else ''}"
    )


def move_label(context: Context, to: str) -> NoReturn:
    """Point the label at an older version that replicas have in memory; the bucket is neither asked nor touched.

    A newer one than answers now may be a candidate that nobody has proven, and is refused.

    Raises:
        BadInputError: `to` is not a number; the journal, which knows what "previous" is, cannot be read.
        CouldNotTellError: always, because nothing of it is recorded; says what each replica answers two polls later.
    """
    if not context.rollout.placement.dark:
        raise BadInputError(
            "servers of the roll-out 'latest' have one version in memory, so without the bucket there is nothing to go "
            "back to; leave --without-bucket out"
        )
    if to == "previous":
        raise BadInputError("without the bucket nobody knows which version is the previous one; give --to a number")
    version = int(to)
    addresses = context.rollout.fleet.addresses()
    others = OtherModels(context.model, folder=Path(context.settings.models), bucket=None)
    problems = {address: _hand_over(context, others, address, version) for address in addresses}
    context.clock.sleep(context.settings.polled_seconds)
    told = [f"{address} {problems[address] or _answer(context, address)}" for address in addresses]
    raise CouldNotTellError(
        f"asked to answer from v{version}, the replicas say: {', '.join(told)}. Nothing of this is recorded, and a "
        f"replica that can read its config has gone back to it: roll back --to {version} when the bucket can be read"
    )


def _hand_over(context: Context, others: OtherModels, address: str, version: int) -> str:
    """Why the label was not moved there; empty where it was."""
    base_path = context.rollout.placement.base_path
    with context.rollout.fleet.connect(address, timeout=context.settings.rpc_seconds) as replica:
        try:
            served = others.served_by(replica)
            if served:
                return f"also serves {served}, which a config of {context.model} would unload: not moved"
            loaded = {each.version for each in replica.statuses(context.model) if each.available}
            behind = replica.version_behind(context.model, STABLE)
            if behind is not None and version > behind:
                return f"answers v{behind}, and v{version} is newer and perhaps unproven: not moved"
            if version not in loaded:
                return (
                    f"has v{version} not in memory, only {sorted(loaded)}; nothing older to go back to without a bucket"
                )
            replica.reload(handed_config(context.model, base_path, versions=loaded, label=version))
        except ServingError as error:
            return error.told
    return ""


def _answer(context: Context, address: str) -> str:
    found = ask(context, address)
    if found.problem:
        return f"gives no answer ({found.problem})"
    return f"v{found.serving}" if found.serving is not None else "nothing"
