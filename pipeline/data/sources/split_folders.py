"""Given splits: which folder of a data set holds which split."""

from collections.abc import Sequence

from pipeline.data.sources.split_words import split_of_word
from pipeline.verdicts.measurements import Split


def are_splits(names: Sequence[str]) -> bool:
    """Whether these names are the splits of one data set: one of them for training, another one, and no label."""
    splits = set(given_splits(names).values())
    return "train" in splits and 1 < len(splits) == len(names)


def given_splits(names: Sequence[str]) -> dict[str, Split]:
    """The split of each folder whose name is that of a split."""
    return {name: split for name in names if (split := split_of_word(name)) is not None}
