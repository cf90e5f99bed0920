"""A version that a person names on the command line, and its files."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.context import ModelContext
from pipeline.errors import BadInputError
from pipeline.journal.entries import Event
from pipeline.journal.history import History
from pipeline.storage.sums import require_equal, sums_of

SERVING = "serving"


def number_of(version: str) -> int:
    """The number of `4` or `v4`.

    Raises:
        BadInputError: it is neither.
    """
    match = re.fullmatch(r"v?([0-9]{1,9})", version)
    if match is None:
        raise BadInputError(f"--version {version!r}: give a version number, for example 4 or v4, or: {SERVING}")
    return int(match[1])


def published_version(version: str, history: History) -> int:
    """The number of a version that was published: `4`, `v4` or `serving`.

    Raises:
        BadInputError: there is no such version.
    """
    if version == SERVING:
        serving = history.state.serving
        if serving is None:
            raise BadInputError("no version serves; name one with --version, see `understudy history --model <model>`")
        return serving
    number = number_of(version)
    if not history.has(history.original(number), Event.PUBLISHED):
        raise BadInputError(
            f"v{number} was never published; the versions are listed by `understudy history --model <model>`"
        )
    return number


@contextmanager
def approved_files(context: ModelContext, number: int, history: History) -> Iterator[Path]:
    """The SavedModel on this machine, once its files are known to be what was approved: a model is a program.

    Raises:
        DamagedError: a file is not what was approved.
        MissingError: the files are not there, because the version is retired.
    """
    folder = context.manifests.folder(number, history)
    manifest = context.manifests.read(number, history)
    with context.bucket.local_copy(folder) as local:
        require_equal(sums_of(local), manifest.files, folder=folder)
        yield local
