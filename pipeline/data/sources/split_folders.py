"""Given splits: which folder of a data set holds which split."""

from collections.abc import Sequence

from pipeline.data.source import GivenSplit
from pipeline.runs.records import Split

# What a folder's name, in lower case, says.
_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "holdout",
    "holdout": "holdout",
}
EXPECTED = "train, val (or validation, valid) and test (or holdout)"


def are_splits(names: Sequence[str]) -> bool:
    """Whether these names are the splits of one data set: one of them for training, another one, and no label."""
    splits = [_NAMES.get(name.lower()) for name in names]
    return len(splits) > 1 and None not in splits and "train" in splits and len(set(splits)) == len(splits)


def given_splits(names: Sequence[str]) -> dict[str, GivenSplit]:
    """The split of each folder. `are_splits` holds for the names.

    The gate needs images that training never sees. So if only one folder is held out, it is for the gate, whatever its
    name is, and images for validation are taken from `train`.
    """
    splits: dict[str, GivenSplit] = {name: _NAMES[name.lower()] for name in names}
    if len(splits) == 2:
        return {name: "train or validation" if split == "train" else "holdout" for name, split in splits.items()}
    return splits
