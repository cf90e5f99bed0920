"""Where the files of a built-in data set are: named in the model file, or in a cache folder, downloaded once."""

import hashlib
import logging
import os
import threading
from pathlib import Path
from typing import NamedTuple, Protocol

from pipeline.data.source import BUILTIN
from pipeline.data.sources.builtin.data_set import DataSet, PublishedFile
from pipeline.data.sources.builtin.download import DownloadError, DownloadLimits, download
from pipeline.errors import BadInputError, StorageError

log = logging.getLogger(__name__)


class State(NamedTuple):
    """The size of the files of a part, in bytes, and a stamp that follows from their content."""

    size: int
    stamp: str


class Files(Protocol):
    """The files of a data set."""

    def state(self, part: str) -> State:
        """The state of a part's files, without a download.

        Raises:
            BadInputError: the files that the model file names cannot be used.
        """

    def ready(self, part: str) -> tuple[Path, ...]:
        """The files of a part, on this machine. Safe to use from many threads.

        Raises:
            StorageError: they could not be downloaded.
        """


def state_of(digests: list[str], sizes: list[int]) -> State:
    """A state from the SHA-256 and the size of each file. A download and the same file elsewhere have the same one."""
    return State(sum(sizes), "+".join(digests))


class CachedFiles:
    """Files that are downloaded when a part is drawn for the first time."""

    def __init__(self, data_set: DataSet, folder: Path, limits: DownloadLimits) -> None:
        self._data_set = data_set
        self._folder = folder / data_set.name
        self._limits = limits
        self._lock = threading.Lock()
        self._checked: set[PublishedFile] = set()

    def state(self, part: str) -> State:
        files = self._data_set.files[part]
        return state_of([file.sha256 for file in files], [file.size for file in files])

    def ready(self, part: str) -> tuple[Path, ...]:
        with self._lock:
            return tuple(self._ready(file) for file in self._data_set.files[part])

    def _ready(self, file: PublishedFile) -> Path:
        target = self._folder / file.name
        if file in self._checked:
            return target
        try:
            if not _is_published(target, file):
                download(file, target, self._limits)
        except DownloadError as error:
            raise StorageError(f"{self._failed(file)}: {error}. {self._way_out(file, target)}") from error
        except OSError as error:
            raise StorageError(
                f"{self._failed(file)}: cannot write {error.filename or target}: {error.strerror}. Set XDG_CACHE_HOME "
                f"to a folder that can be written, or name the data set in the model file, with data.file"
            ) from error
        self._checked.add(file)
        return target

    def _failed(self, file: PublishedFile) -> str:
        return f"{BUILTIN}{self._data_set.name}: {file.url} was not downloaded"

    def _way_out(self, file: PublishedFile, target: Path) -> str:
        names = sorted({each.name for files in self._data_set.files.values() for each in files})
        named = f"the folder with {', '.join(names)}" if len(names) > 1 else f"the path of {file.name}"
        return (
            f"If this machine has no network, download it on another one. Then copy it to {target}, or anywhere, and "
            f"set data.file in the model file to {named}"
        )


def _is_published(path: Path, file: PublishedFile) -> bool:
    """Whether the file is in the cache. One that has changed there is downloaded again."""
    if not path.exists():
        return False
    if path.stat().st_size == file.size and _digest(path) == file.sha256:
        return True
    log.warning("%s is not the published file; downloading it again", path)
    return False


class LocalFiles:
    """Files that the model file names, `data.file`: the published ones, or those they are extracted to."""

    def __init__(self, data_set: DataSet, path: Path) -> None:
        self._data_set = data_set
        self._path = path

    def state(self, part: str) -> State:
        files = self.ready(part)
        try:
            return state_of([_digest(file) for file in files], [file.stat().st_size for file in files])
        except OSError as error:
            raise BadInputError(f"data.file: {error.filename} cannot be read: {error.strerror}") from error

    def ready(self, part: str) -> tuple[Path, ...]:
        published = tuple(file.name for file in self._data_set.files[part])
        if self._path.is_file() and len(published) == 1:
            return (self._path,)
        loose = self._data_set.loose.get(part, ())
        inside = self._path / self._data_set.folder
        for folder, names in ((self._path, published), (self._path, loose), (inside, loose)):
            files = tuple(folder / name for name in names)
            if files and all(file.is_file() for file in files):
                return files
        raise BadInputError(
            f"data.file: {self._path} {self._found()}; {BUILTIN}{self._data_set.name} needs {self._expected(published)}"
        )

    def _found(self) -> str:
        if not self._path.exists():
            return "does not exist"
        return "does not have the files" if self._path.is_dir() else "is a file"

    def _expected(self, published: tuple[str, ...]) -> str:
        folder = f", or the folder {self._data_set.folder}" if self._data_set.folder else ""
        return f"{published[0]}{folder}" if len(published) == 1 else f"a folder with {' and '.join(published)}"


class NoFiles:
    """A data set that comes with a library: a constant takes the place of a checksum."""

    def __init__(self, state: State) -> None:
        self._state = state

    def state(self, part: str) -> State:  # noqa: ARG002 - of the protocol
        return self._state

    def ready(self, part: str) -> tuple[Path, ...]:  # noqa: ARG002 - of the protocol
        return ()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_folder() -> Path:
    """The folder for what can be downloaded again, by the XDG Base Directory Specification: an absolute path counts.

    `XDG_CACHE_HOME` is read here and not with the settings: as `HOME`, it is for all programs of a user.

    Raises:
        BadInputError: nothing says where it could be.
    """
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        return (named if named.is_absolute() else Path.home() / ".cache") / "understudy"
    except RuntimeError as error:
        raise BadInputError("no folder for downloads: set HOME or XDG_CACHE_HOME") from error
