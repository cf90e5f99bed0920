"""Given splits: which folder of a data set holds which split."""

from collections.abc import Sequence

from pipeline.verdicts.measurements import Split

# What a folder's name, in lower case, says.
_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "holdout",
    "testing": "holdout",
    "holdout": "holdout",
}
EXPECTED = "train, val (or validation, valid) and test (or holdout)"


def are_splits(names: Sequence[str]) -> bool:
    """Whether these names are the splits of one data set: one of them for training, another one, and no label."""
    splits = [_NAMES.get(name.lower()) for name in names]
    return len(splits) > 1 and None not in splits and "train" in splits and len(set(splits)) == len(splits)


def given_splits(names: Sequence[str]) -> dict[str, Split]:
    """The split of each folder. `are_splits` holds for the names."""
    return {name: _NAMES[name.lower()] for name in names}
