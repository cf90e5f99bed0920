"""The image files that are explained, and the files that explain them."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

# In the metadata of each picture, so that it is known whose it is.
SOFTWARE = "understudy explain"


def named_images(paths: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Each image file with a short name for the file that explains it, each name once.

    A file is named by its stem; one of a folder, or below it, by its path in the folder, with `-` between the parts.
    Pictures that explain others are left out of folders, and so are hidden files.
    """
    used: dict[str, int] = {}
    for path, stem in _stems(paths):
        used[stem] = used.get(stem, 0) + 1
        name = stem if used[stem] == 1 else f"{stem}-{used[stem]}"
        yield path, name


def _stems(paths: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    for path in paths:
        if not path.is_dir():
            yield path, path.stem
            continue
        for each in sorted(path.rglob("*")):
            relative = each.relative_to(path)
            hidden = any(part.startswith(".") for part in relative.parts)
            if each.is_file() and not hidden and not is_ours(each):
                yield each, "-".join(relative.with_suffix("").parts)


def is_ours(path: Path) -> bool:
    """Whether a file is a picture that explains another one."""
    if path.suffix != ".png":
        return False
    from PIL import Image  # noqa: PLC0415 - Pillow is imported when a picture is

    try:
        with Image.open(path) as picture:
            return picture.info.get("Software") == SOFTWARE
    except Exception:  # noqa: BLE001 - Pillow has no common base for what damaged files make it raise
        return False


def write(path: Path, picture: bytes) -> bool:
    """Write a picture that explains another one, or replace an earlier one; whether there was one.

    A reader never sees a part of it.

    Raises:
        FileExistsError: there is another file of this name, which is not changed.
        OSError: the folder cannot be made or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    existed = path.exists() or path.is_symlink()
    if existed and not is_ours(path):
        raise FileExistsError(f"{path} exists, and is not of `understudy explain`")
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_bytes(picture)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return existed
