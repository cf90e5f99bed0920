"""What identifies a file: its size, SHA-256 against tampering, and CRC32C, which object stores compute themselves."""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import google_crc32c

from pipeline.errors import DamagedError

# Without this file a model server loads nothing, so it is written last.
MARK = "saved_model.pb"

# TensorFlow writes a new random number into it. Nothing else differs between two exports of one network.
_RANDOM = frozenset({"fingerprint.pb"})

_PIECE = 1 << 20
_THREADS = 4


@dataclass(frozen=True)
class FileSum:
    """`size` in bytes, `sha256` in hexadecimal, `crc32c` as Google shows it: base64 of its big-endian bytes."""

    size: int
    sha256: str
    crc32c: str


class Checked(Protocol):
    """A file whose checksum is known: one that was read, or one that a store has listed."""

    @property
    def crc32c(self) -> str: ...


class Summing:
    """A sum that grows with every piece. It is a writable stream, for libraries that write to one."""

    def __init__(self) -> None:
        self._size = 0
        self._sha256 = hashlib.sha256()
        self._crc32c = 0

    def write(self, piece: bytes | memoryview) -> int:
        """Add a piece; its length."""
        self._size += len(piece)
        self._sha256.update(piece)
        self._crc32c = google_crc32c.extend(self._crc32c, bytes(piece))
        return len(piece)

    def result(self) -> FileSum:
        """The sum of all pieces so far."""
        return FileSum(self._size, self._sha256.hexdigest(), _shown(self._crc32c))


def crc32c_of(content: bytes) -> str:
    """The CRC32C of `content`, as in `FileSum`."""
    return _shown(google_crc32c.value(content))


def checksums_of(files: Mapping[str, Checked]) -> dict[str, str]:
    """The CRC32C of each file, by its name."""
    return {name: each.crc32c for name, each in files.items()}


def _shown(crc32c: int) -> str:
    return base64.b64encode(crc32c.to_bytes(4)).decode()


def sums_of(folder: Path) -> dict[str, FileSum]:
    """The sums of every file below a folder of this machine, by its path in it."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    with ThreadPoolExecutor(_THREADS) as pool:
        sums = pool.map(sum_of_file, files)
        return {path.relative_to(folder).as_posix(): each for path, each in zip(files, sums, strict=True)}


def sum_of_file(path: Path) -> FileSum:
    with path.open("rb") as stream:
        return sum_of(iter(lambda: stream.read(_PIECE), b""))


def sum_of(pieces: Iterable[bytes]) -> FileSum:
    """The sum of a file that comes in pieces."""
    summing = Summing()
    for piece in pieces:
        summing.write(piece)
    return summing.result()


def require_equal(found: Mapping[str, object], expected: Mapping[str, object], *, folder: str) -> None:
    """Compare what a folder holds with what it should hold: sums or checksums by name.

    Raises:
        DamagedError: names every file that differs, is missing, or does not belong there.
    """
    if dict(found) == dict(expected):
        return
    problems = [f"{name} is missing" for name in sorted(expected.keys() - found.keys())]
    problems += [f"{name} does not belong there" for name in sorted(found.keys() - expected.keys())]
    problems += [f"{name} differs" for name in sorted(found.keys() & expected.keys()) if found[name] != expected[name]]
    raise DamagedError(f"{folder} is not what was approved: {', '.join(problems)}")


def mark_last(names: Iterable[str]) -> list[str]:
    """The names in the order in which files are written if a folder cannot appear at once: `saved_model.pb` last."""
    return sorted(names, key=lambda name: (name == MARK, name))


def mark_first(names: Iterable[str]) -> list[str]:
    """The names in the order in which files are removed if a folder cannot disappear at once: the mark first."""
    return mark_last(names)[::-1]


def folder_digest(files: Mapping[str, FileSum]) -> str:
    """One SHA-256 for a folder, in hexadecimal, from that of each file and its name."""
    return hashlib.sha256("\n".join(f"{files[name].sha256} {name}" for name in sorted(files)).encode()).hexdigest()


def content_digest(files: Mapping[str, FileSum]) -> str:
    """One SHA-256 for what decides the answers of an exported model. Two exports of one network have the same."""
    return folder_digest({name: each for name, each in files.items() if name not in _RANDOM})
