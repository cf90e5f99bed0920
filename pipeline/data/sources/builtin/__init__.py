"""Built-in data sets: `builtin:digits`, and `mnist`, `fashion_mnist` and `cifar10` as Keras has them."""

from pathlib import Path

from pipeline.data.source import BUILTIN, Source
from pipeline.data.sources.builtin import digits
from pipeline.data.sources.builtin.builtin_source import BuiltinSource
from pipeline.data.sources.builtin.cifar10 import CIFAR10
from pipeline.data.sources.builtin.data_set import DataSet
from pipeline.data.sources.builtin.download import DownloadLimits
from pipeline.data.sources.builtin.fashion_mnist import FASHION_MNIST
from pipeline.data.sources.builtin.files import CachedFiles, Files, LocalFiles, NoFiles, cache_folder
from pipeline.data.sources.builtin.mnist import MNIST
from pipeline.errors import BadInputError
from pipeline.spec import Data

DATA_SETS = {data_set.name: data_set for data_set in (MNIST, FASHION_MNIST, CIFAR10)}


def open_builtin(data: Data) -> Source:
    """The data set that `data.images` names. Nothing is downloaded before its images are read.

    Raises:
        BadInputError: no data set has this name, or it does not have what `data` asks for.
    """
    name = data.images.removeprefix(BUILTIN)
    if name != digits.NAME and name not in DATA_SETS:
        names = ", ".join(f"{BUILTIN}{known}" for known in (digits.NAME, *DATA_SETS))
        raise BadInputError(f"data.images: no built-in data set {data.images!r}; there are {names}")
    if data.slices or data.columns:
        raise BadInputError(f"data.images: {data.images} has no columns; remove data.slices and data.columns")
    return _digits(data) if name == digits.NAME else open_data_set(DATA_SETS[name], data)


def open_data_set(data_set: DataSet, data: Data, *, limits: DownloadLimits | None = None) -> Source:
    """A data set of parts, from `data.file` or from the network.

    With `data.splits: given` its test part is the holdout.
    """
    is_given = data.splits == "given"
    return BuiltinSource(
        data_set.name,
        {"train": "train" if is_given else None, "test": "holdout" if is_given else None},
        _files(data_set, data, limits or DownloadLimits()),
        data_set.draw,
    )


def _files(data_set: DataSet, data: Data, limits: DownloadLimits) -> Files:
    if data.file is None:
        return CachedFiles(data_set, cache_folder(), limits)
    if "://" in data.file:
        raise BadInputError(f"data.file: {data.file} is not on this machine; copy it there, and name its path")
    return LocalFiles(data_set, Path(data.file).expanduser().absolute())


def _digits(data: Data) -> Source:
    if data.splits == "given":
        raise BadInputError(f"data.splits: {data.images} comes without splits; set data.splits to content")
    if data.file is not None:
        raise BadInputError(f"data.file: {data.images} comes with a library and needs no file; remove data.file")
    return BuiltinSource(digits.NAME, {digits.PART: None}, NoFiles(digits.STATE), digits.draw)
