"""The files that a person means who names image files and folders of them."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from serving.images import ImageError

# Larger than any PNG within the limit of pixels, see `serving.images.MOST_PIXELS`.
MOST_BYTES = 512 << 20


class ImageFiles:
    """Files as they are named, and all files below a folder, sorted by name; hidden ones are left out of folders.

    Whether a file is an image, its content says, so the names do not matter. Links to folders are not followed. In
    memory are the names of the folders that are being looked through, never those of all files.

    Args:
        paths: files and folders.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def __iter__(self) -> Iterator[Path]:
        for path in self._paths:
            if path.is_dir():
                yield from _below(path)
            else:
                yield path


def _below(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            found = sorted(
                (entry.name, entry.is_dir(follow_symlinks=False), entry.is_dir())
                for entry in entries
                if not entry.name.startswith(".")
            )
    except OSError:
        yield folder  # who reads it as a file learns why it cannot be looked through
        return
    for name, is_folder, leads_to_folder in found:
        if is_folder:
            yield from _below(folder / name)
        elif not leads_to_folder:
            yield folder / name


def size_of(path: Path) -> int:
    """The bytes of a file.

    Raises:
        OSError: there is no such file.
    """
    return path.stat().st_size


def read_image(path: Path) -> bytes:
    """The content of a file that may be an image.

    Raises:
        ImageError: it is no file, or larger than any image that is accepted.
        OSError: it cannot be read.
    """
    # A named pipe would wait for somebody who writes to it.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        if not path.is_file():
            raise ImageError("is not a file; name image files, or folders that have some")
        size = os.fstat(file.fileno()).st_size
        if size > MOST_BYTES:
            raise ImageError(f"is too large: {size:,} bytes, the limit is {MOST_BYTES:,}; make it smaller or remove it")
        return file.read(MOST_BYTES)
