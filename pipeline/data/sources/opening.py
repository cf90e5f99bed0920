"""Open the source of images that a model file names."""

from pathlib import PurePosixPath
from typing import Literal

from pipeline.data.source import BUILTIN, Source
from pipeline.data.sources.folders import SUFFIXES, FolderSource
from pipeline.data.sources.shard_names import is_shard
from pipeline.errors import BadInputError
from pipeline.spec import Data
from pipeline.storage.opening import open_tree
from pipeline.storage.single_file import SingleFileTree
from pipeline.storage.tree import Tree

MANIFEST_SUFFIXES = (".csv", ".parquet")
# So many files of a folder show what it holds. One answer of a store lists as many.
_LOOKED_AT = 1000

Format = Literal["folders", "manifest", "tfrecord"]


def open_source(data: Data, *, seconds: float = 30.0) -> Source:
    """The source of `data.images`. If `data.format` is null, the names decide what it is.

    A manifest ends with `.csv` or `.parquet`, a shard with `.tfrecord`, `.tfrecords` or `.tfrec`, also before
    `-00000-of-00010`. A folder with more shards than images is one of shards.

    Args:
        data: where the images are.
        seconds: for how long a call to a store that failed with a transient error is retried.

    Raises:
        BadInputError: the address is malformed, there is no such built-in data set, or `data.file` is not for it.
        StorageError: a folder must be looked into, and its storage does not answer.
    """
    if data.file is not None and not data.images.startswith(BUILTIN):
        raise BadInputError(
            f"data.file: {data.file} is for built-in data sets, and {data.images} is not one; remove it"
        )
    if data.images.startswith(BUILTIN):
        from pipeline.data.sources.builtin import open_builtin  # noqa: PLC0415 - each source loads libraries of its own

        return open_builtin(data)
    match find_format(data, seconds=seconds):
        case "manifest":
            from pipeline.data.sources.manifest import ManifestSource  # noqa: PLC0415

            folder, name = _split(data.images)
            return ManifestSource(data, open_tree(folder, seconds=seconds), name)
        case "tfrecord":
            from pipeline.data.sources.tfrecord import TfrecordSource  # noqa: PLC0415

            return TfrecordSource(data, _shards(data.images, seconds=seconds))
        case _:
            return FolderSource(data, open_tree(data.images, seconds=seconds))


def find_format(data: Data, *, seconds: float = 30.0) -> Format:
    """What `data.images` is: see `open_source`, whose errors this has too."""
    if data.format is not None:
        return data.format
    if PurePosixPath(data.images).suffix.lower() in MANIFEST_SUFFIXES:
        return "manifest"
    if is_shard(data.images.rstrip("/")):
        return "tfrecord"
    names = open_tree(data.images, seconds=seconds).sample(_LOOKED_AT)
    shards = sum(is_shard(name) for name in names)
    return "tfrecord" if shards > sum(name.lower().endswith(SUFFIXES) for name in names) else "folders"


def _shards(address: str, *, seconds: float) -> Tree:
    if not is_shard(address.rstrip("/")):
        return open_tree(address, seconds=seconds)
    folder, name = _split(address)
    return SingleFileTree(open_tree(folder, seconds=seconds), name, setting="data.images")


def _split(address: str) -> tuple[str, str]:
    """The folder and the name of a file."""
    folder, separator, name = address.rstrip("/").rpartition("/")
    if folder.endswith(":/"):
        raise BadInputError(f"data.images: {address} is a bucket; name a file in it")
    if not separator:
        return ".", name
    return folder or "/", name
