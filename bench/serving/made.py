"""Folders that are costly to make, made once."""

import hashlib
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

RECIPE = ".recipe"


def made(folder: Path, make: Callable[[Path], object], *, sources: Iterable[Path]) -> Path:
    """The folder as `make` fills it, kept for as long as the files it is made from say the same.

    What `make` raises leaves a folder that the next call makes anew.
    """
    recipe = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    mark = folder / RECIPE
    if mark.exists() and mark.read_text("utf-8") == recipe:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    make(folder)
    mark.write_text(recipe, "utf-8")
    return folder
