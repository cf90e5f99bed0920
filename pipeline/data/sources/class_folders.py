"""How the folders of a data set are laid out: a folder for each label, perhaps below a folder for each split.

images/                     images/
├── cat/                    ├── train/
│   ├── 1.png               │   ├── cat/1.png
│   └── series 7/2.png      │   └── dog/1.png
└── dog/1.png               └── test/...
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

from pipeline.data.sources.split_folders import are_splits, given_splits
from pipeline.data.sources.split_words import EXPECTED
from pipeline.errors import BadInputError
from pipeline.first_few import first_few
from pipeline.storage.tree import Tree
from pipeline.verdicts.measurements import Split

_SHOWN = 5


@dataclass(frozen=True)
class ClassFolders:
    """The folders of a data set.

    Attributes:
        splits: what each folder of the root says, by its name; empty if the folders of the root are the labels.
        labels: the label of each label folder, by its path below the root.
    """

    splits: dict[str, Split] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)


def find_class_folders(tree: Tree, *, is_given: bool) -> ClassFolders:
    """The folders of a data set. Nothing below a label folder is listed, unless there is only one.

    Args:
        tree: the files of the data set.
        is_given: whether the folders of the root are splits.

    Raises:
        BadInputError: they are not laid out so; says what was found, and what was expected.
        StorageError: the storage does not answer.
    """
    top = tree.folders()
    if is_given:
        _require_splits(tree, top)
        labels = {f"{split}/{label}": label for split in top for label in tree.folders(split)}
        layout = ClassFolders(given_splits(top), labels)
    else:
        _refuse_splits(tree, top)
        layout = ClassFolders(labels={label: label for label in top})
    _refuse_one_too_deep(tree, layout)
    _refuse_equal_labels(tree, layout)
    return layout


def first_names(names: Iterable[str]) -> str:
    """The first few of some names, for a message."""
    return first_few(list(names), _SHOWN)


def _require_splits(tree: Tree, top: list[str]) -> None:
    if not are_splits(top):
        found = f"it holds the folders {first_names(top)}" if top else "it holds no folders"
        raise BadInputError(
            f"data.images: data.splits is `given`, so {tree.address} must hold one folder for each split, {EXPECTED}, "
            f"and nothing else; {found}. Rename or move them, or set data.splits: content"
        )


def _refuse_splits(tree: Tree, top: list[str]) -> None:
    if are_splits(top):
        raise BadInputError(
            f"data.images: {tree.address} holds the folders {first_names(top)}, which are names of splits and not of "
            f"labels. Set data.splits: given to use them as splits"
        )


def _refuse_one_too_deep(tree: Tree, layout: ClassFolders) -> None:
    """One label is never enough for a classifier. So if it holds folders, these are meant as labels."""
    if len(set(layout.labels.values())) != 1:
        return
    for path in layout.labels:
        below = tree.folders(path)
        if len(below) > 1:
            raise BadInputError(
                f"data.images: {tree.address} should hold one folder of images per label; it holds only "
                f"{path}, which holds the folders {first_names(below)}. "
                f"{_way_out(tree, path, layout)}"
            )


def _way_out(tree: Tree, path: str, layout: ClassFolders) -> str:
    if layout.splits:
        return f"Move them one level up, into {tree.shown(path.partition('/')[0])}"
    return f"Set data.images: {tree.shown(path)}"


def _refuse_equal_labels(tree: Tree, layout: ClassFolders) -> None:
    """Names that look the same and are not: a copy between macOS and Linux may decompose letters with accents."""
    first: dict[str, str] = {}
    equal = []
    for path, label in layout.labels.items():
        other = first.setdefault(unicodedata.normalize("NFC", label), path)
        if layout.labels[other] != label:
            equal.append(f"{tree.shown(other)} and {tree.shown(path)}")
    if equal:
        raise BadInputError(
            f"data.images: the names of these folders differ only in how Unicode composes letters, so they are one "
            f"label: {first_names(equal)}. Move the images of each pair into one folder"
        )
