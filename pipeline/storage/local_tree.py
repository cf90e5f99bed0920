"""Files below a folder of this machine."""

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import accumulate, islice
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import BadInputError
from pipeline.storage.local_paths import encodable, file_errors, is_text
from pipeline.storage.system_files import SYSTEM_STARTS, Skipped, is_system_name
from pipeline.storage.tree import Found, Report, UnreadableError

# A file that changed so shortly before it was listed has no stamp: it may change again, and have the same time then.
# Some file systems count in steps of two seconds.
_SETTLED_NS = 2 * 10**9
_DEEPEST = 100


class LocalTree:
    """Files below a folder of this machine; see `pipeline.storage.tree.Tree`.

    Symbolic links are followed if they lead to something below the root. A link to a folder is reported if it is inside
    that folder, or inside another linked one, so that a walk ends soon.

    Args:
        root: the folder; its name is completed to an absolute one.
        setting: what to correct if the folder does not exist, for messages.
    """

    def __init__(self, root: Path, *, setting: str) -> None:
        self._root = str(root.absolute())
        self._real_root = os.path.realpath(self._root)
        self._setting = setting

    @property
    def address(self) -> str:
        return encodable(self._root)

    def files(self, report: Report) -> Iterator[Found]:
        self._require_root()
        skipped = Skipped()
        yield from self._below("", (self._real_root,), report, skipped)
        skipped.say(self.address)

    def sample(self, limit: int) -> list[str]:
        names: list[str] = []
        folders = [""]
        while folders and len(names) < limit:
            prefix = folders.pop()
            with suppress(UnreadableError), file_errors(self._path(prefix)), os.scandir(self._path(prefix)) as entries:
                for entry in islice(entries, limit):
                    if is_system_name(entry.name) or not is_text(entry.name):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(f"{prefix}{entry.name}/")
                    else:
                        names.append(prefix + entry.name)
        return names[:limit]

    def folders(self, below: str = "") -> list[str]:
        found: list[str] = []
        prefix = f"{below}/" if below else ""
        # What cannot be used is reported when the files are listed.
        with suppress(UnreadableError), file_errors(self._path(below)), os.scandir(self._path(below)) as entries:
            found.extend(entry.name for entry in entries if self._is_entered(entry, prefix))
        return sorted(found)

    def find(self, name: str) -> Found:
        now = time.time_ns()
        status = self._status(name)
        changed = status.st_mtime_ns
        return Found(name, status.st_size, str(changed) if changed < now - _SETTLED_NS else "")

    def read(self, name: str, *, stamp: str = "") -> bytes:  # noqa: ARG002 - a disk has no cache that is out of date
        with self.open(name) as stream, file_errors(self._path(name)):
            return stream.read()

    def open(self, name: str) -> BinaryIO:
        self._status(name)
        with file_errors(self._path(name)):
            return Path(self._path(name)).open("rb")

    def shown(self, name: str) -> str:
        return encodable(self._path(name))

    def _below(self, prefix: str, above: tuple[str, ...], report: Report, skipped: Skipped) -> Iterator[Found]:
        """The files below a folder. Its loop runs once for each file of a data set, so it calls little.

        Args:
            prefix: the folder's name with a slash at its end; empty for the root.
            above: the real paths of the folder and of those that contain it.
            report: called with each problem.
            skipped: collects what was skipped.
        """
        with self._opened(prefix, report) as folder:
            settled = time.time_ns() - _SETTLED_NS
            for name in self._names(folder, prefix, above, report, skipped) if folder is not None else ():
                if name[-1] == "/":
                    real = os.path.realpath(self._path(prefix + name))
                    yield from self._below(prefix + name, (*above, real), report, skipped)
                    continue
                try:
                    status = os.stat(name, dir_fd=folder)
                except OSError as error:
                    self._report_error(prefix + name, error, report)
                    continue
                changed = status.st_mtime_ns
                yield Found(prefix + name, status.st_size, str(changed) if changed < settled else "")

    def _names(self, folder: int, prefix: str, above: tuple[str, ...], report: Report, skipped: Skipped) -> list[str]:
        """The names in a folder, in the order of the full names: those of folders end with a slash."""
        names = []
        with self._reported(prefix, report), os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                # Most names need no call.
                if name[0] in SYSTEM_STARTS and is_system_name(name):
                    skipped.add(encodable(prefix + name))
                elif name.isascii() and entry.is_file(follow_symlinks=False):
                    names.append(name)
                elif (problem := self._problem(entry, prefix, above)) is not None:
                    report(self.shown(prefix + name), problem)
                else:
                    names.append(f"{name}/" if entry.is_dir() else name)
        names.sort()
        return names

    def _is_entered(self, entry: "os.DirEntry[str]", prefix: str) -> bool:
        if is_system_name(entry.name) or not is_text(entry.name) or not entry.is_dir():
            return False
        above = (self._real_root, os.path.realpath(self._path(prefix)))
        return not entry.is_symlink() or self._problem(entry, prefix, above) is None

    def _problem(self, entry: "os.DirEntry[str]", prefix: str, above: tuple[str, ...]) -> str | None:
        """Why something in a folder cannot be used, as the end of a sentence; None if it can."""
        if not is_text(entry.name):
            return "has a name that is not UTF-8; rename it"
        path = self._path(prefix + entry.name)
        if entry.is_symlink() and (problem := self._link_problem(path)):
            return problem
        if entry.is_dir():
            if os.path.realpath(path) in above:
                return "is a link to a folder that contains it; remove it"
            # Folders that link to one another would be listed in every order that there is.
            if entry.is_symlink() and above[-1] != os.path.normpath(f"{self._real_root}/{prefix}"):
                return "is a link to a folder, in a folder that was reached by a link; replace it by a copy"
            return f"is more than {_DEEPEST} folders deep; move it" if len(above) > _DEEPEST else None
        return None if entry.is_file() else "is not a file; remove it"

    def _link_problem(self, path: str) -> str | None:
        real = os.path.realpath(path)
        if not self._is_inside(real):
            return f"is a link to {encodable(real)}, outside {self.address}; copy that into the folder, or remove it"
        try:
            with file_errors(path):
                os.stat(path)  # noqa: PTH116 - the path is a text
        except UnreadableError as error:
            return f"is a link to {encodable(real)}, which {error}; restore that, or remove the link"
        return None

    def _status(self, name: str) -> os.stat_result:
        path = self._path(name)
        with file_errors(path):
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode) or self._is_indirect(name):
                status = os.stat(path)  # noqa: PTH116 - the path is a text
                if not self._is_inside(os.path.realpath(path)):
                    raise UnreadableError(f"is outside {self.address}; copy it into that folder")
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableError("is a folder" if stat.S_ISDIR(status.st_mode) else "is not a file")
        return status

    def _is_indirect(self, name: str) -> bool:
        """Whether the folders of a name may lead elsewhere. Costs less than `realpath`, which starts at `/`."""
        folders = accumulate(name.split("/")[:-1], "{}/{}".format)
        return ".." in name or any(os.path.islink(self._path(folder)) for folder in folders)  # noqa: PTH114 - texts

    def _is_inside(self, real: str) -> bool:
        return real == self._real_root or real.startswith(self._real_root.rstrip("/") + "/")

    def _require_root(self) -> None:
        try:
            with file_errors(self._root), os.scandir(self._root):
                return
        except UnreadableError as error:
            raise BadInputError(f"{self._setting}: {self._root_problem(error)}") from error

    def _root_problem(self, error: UnreadableError) -> str:
        if os.path.isfile(self._root):  # noqa: PTH113 - the path is a text
            return (
                f"{self.address} is a file; name the folder with the label folders, a .csv or .parquet manifest, or a "
                f"TFRecord shard"
            )
        return f"the folder {self.address} {error}; correct the path"

    @contextmanager
    def _opened(self, prefix: str, report: Report) -> Iterator[int | None]:
        """The descriptor of a folder, for calls that then need no search for it; None if it was reported."""
        folder = None
        with self._reported(prefix, report):
            folder = os.open(self._path(prefix), os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield folder
        finally:
            if folder is not None:
                os.close(folder)

    def _report_error(self, name: str, error: OSError, report: Report) -> None:
        with self._reported(name, report):
            raise error

    @contextmanager
    def _reported(self, name: str, report: Report) -> Iterator[None]:
        """Report that something cannot be read, and go on."""
        try:
            with file_errors(self._path(name)):
                yield
        except UnreadableError as error:
            report(self.shown(name.rstrip("/")), str(error))

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}" if name else self._root
