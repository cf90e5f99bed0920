"""Where the images of a model come from: a folder with one folder of images per label, or a built-in data set.

A source yields every image and reports every file that is unusable, so that all of them can be named at once.
"""

import io
import logging
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import BadInputError

log = logging.getLogger(__name__)

# The served graph can decode these into any number of channels. TensorFlow cannot decode BMP and GIF into grey.
SUFFIXES = (".png", ".jpg", ".jpeg")
_BUILTIN = "builtin:"
# Files that systems and tools leave beside images. Names that begin with a dot are ignored as well.
_IGNORED_FILES = frozenset({"thumbs.db", "desktop.ini"})
_IGNORED_FOLDERS = frozenset({"__macosx", "@eadir"})

Report = Callable[[str], None]


@dataclass(frozen=True)
class ImageFile:
    """An encoded image. `path` is for people; `suffix` is that of the file, in lower case and with the dot."""

    label: str
    suffix: str
    path: str
    content: bytes


def find_images(images: str, report: Report) -> Iterator[ImageFile]:
    """Yield every image of the source, and report a sentence about every file or folder that is unusable.

    Args:
        images: `data.images` of a model file.
        report: called with each problem.

    Raises:
        BadInputError: the source as a whole cannot be read.
    """
    if images == f"{_BUILTIN}digits":
        return _digits()
    if images.startswith(_BUILTIN):
        raise BadInputError(f"data.images: no built-in data set {images!r}; the only one is {_BUILTIN}digits")
    if "://" in images:
        raise BadInputError(
            f"data.images: {images} is not a folder of this machine; copy the images to one, or mount it"
        )
    return _folder(Path(images).absolute(), report)


def _folder(folder: Path, report: Report) -> Iterator[ImageFile]:
    for label in _label_folders(folder):
        if not _is_text(label):
            report(
                f"the name of the folder {os.fsencode(label.name)!r} in {_shown(folder)} is not UTF-8, so it cannot be "
                f"a label; rename the folder"
            )
            continue
        yield from _images_of(label, report)


def _label_folders(folder: Path) -> list[Path]:
    """The folders whose names are labels.

    Those whose names are not text come first, so they are reported before any work.

    Raises:
        BadInputError: there is no such folder, it cannot be read, or it holds files instead of folders.
    """
    if not folder.is_dir():
        raise BadInputError(
            f"data.images: {_shown(folder)} is not a folder; it should hold one folder of images per label"
        )
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise BadInputError(f"data.images: {_shown(folder)} cannot be read: {error.strerror}") from error
    folders = [path for path in entries if path.is_dir()]
    ignored = [path for path in folders if _is_ignored(path, _IGNORED_FOLDERS)]
    if ignored:
        log.info("%s: skipped %s", _shown(folder), ", ".join(_shown(Path(path.name)) for path in ignored))
    files = [path for path in entries if path.suffix.lower() in SUFFIXES and path not in folders]
    labels = [path for path in folders if path not in ignored]
    if files and not labels:
        raise BadInputError(
            f"data.images: {_shown(folder)} holds {len(files)} images and no folders; move the images of each label "
            f"into a folder with the name of the label"
        )
    return sorted(labels, key=lambda path: (_is_text(path), path))


def _images_of(label: Path, report: Report) -> Iterator[ImageFile]:
    try:
        entries = [path for path in sorted(label.iterdir()) if not _is_ignored(path, _IGNORED_FILES)]
    except OSError as error:
        report(f"{_shown(label)} cannot be read: {error.strerror}")
        return
    folders = [path for path in entries if path.is_dir() and not _is_ignored(path, _IGNORED_FOLDERS)]
    if folders and len(folders) == len(entries):
        report(
            f"{_shown(label)} holds folders ({_shown(Path(folders[0].name))}, ...) and no images; data.images must "
            f"name a folder whose folders hold the images themselves"
        )
        return
    for path in entries:
        content = _content(path, report)
        if content is not None:
            yield ImageFile(label.name, path.suffix.lower(), _shown(path), content)
    if not entries:
        log.warning(
            "%s holds no image, so nothing is learned about the label %r. Add images or remove the folder",
            label,
            label.name,
        )


def _content(path: Path, report: Report) -> bytes | None:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            if not _is_ignored(path, _IGNORED_FOLDERS):
                report(f"{_shown(path)} is a folder; move its images into the folder of their label")
        elif path.suffix.lower() not in SUFFIXES:
            report(f"{_shown(path)} is not one of {', '.join(SUFFIXES)}; convert it or remove it")
        elif not stat.S_ISREG(mode):
            report(f"{_shown(path)} is not a file; remove it")
        else:
            return path.read_bytes()
    except OSError as error:
        report(f"{_shown(path)} cannot be read: {error.strerror}; restore it or remove it")
    return None


def _is_ignored(path: Path, names: frozenset[str]) -> bool:
    return path.name.startswith(".") or path.name.lower() in names


def _is_text(folder: Path) -> bool:
    """Whether a folder's name is UTF-8. On Linux it may be any bytes; a label must be text."""
    try:
        folder.name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(path: Path) -> str:
    """The path as printable text, also if a name in it is not UTF-8."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _digits() -> Iterator[ImageFile]:
    """The handwritten digits of the UCI machine learning repository that come with scikit-learn, as 8x8 PNG files."""
    from PIL import Image  # noqa: PLC0415 - only this source draws
    from sklearn.datasets import load_digits

    digits = load_digits()
    for number, (pixels, target) in enumerate(zip(digits.images, digits.target, strict=True)):
        stream = io.BytesIO()
        Image.fromarray((pixels * (255 / 16)).astype("uint8")).save(stream, format="PNG")
        yield ImageFile(str(target), ".png", f"image {number} of {_BUILTIN}digits", stream.getvalue())
