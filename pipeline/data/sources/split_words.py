"""The words that people have for the splits of a data set."""

import re

from pipeline.verdicts.measurements import Split

_WORDS: dict[str, Split] = {
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
# The same words, for messages.
EXPECTED = "train (or training), val (or valid, validation, dev) and test (or testing, holdout)"


def split_of_word(word: str) -> Split | None:
    """The split that a word names, in upper or lower case; None for another word."""
    return _WORDS.get(word.strip().lower())


def splits_in(name: str) -> set[Split]:
    """The splits that the words of a name stand for: `flowers-train-00000-of-00010` names `train`."""
    words = re.split(r"[^a-z]+", name.lower())
    return {_WORDS[word] for word in words if word in _WORDS}
