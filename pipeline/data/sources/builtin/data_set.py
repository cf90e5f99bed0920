"""What a built-in data set is: its parts, the published files of each, and how they are read."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class FormatError(Exception):
    """A file is not what its name says; the text is the end of a sentence."""


class PublishedFile(NamedTuple):
    """A file on the network. `size` is in bytes, `sha256` in hexadecimal."""

    name: str
    url: str
    size: int
    sha256: str


class Drawn(NamedTuple):
    """An image as a file, and its label."""

    content: bytes
    label: str


# Called with a part and its files.
Draw = Callable[[str, Sequence[Path]], Iterator[Drawn]]


@dataclass(frozen=True)
class DataSet:
    """A data set with the parts `train` and `test`.

    Attributes:
        name: as in `builtin:NAME`.
        files: the published files of each part.
        draw: yields the images of a part. Raises `FormatError` and what readers of its formats raise.
        loose: the files of each part in the folder that the published file is extracted to.
        folder: the name of that folder.
    """

    name: str
    files: Mapping[str, tuple[PublishedFile, ...]]
    draw: Draw
    loose: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    folder: str = ""
