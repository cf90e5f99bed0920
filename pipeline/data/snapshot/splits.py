"""Which split an image is in. The content decides, or the source; it never changes while other images come and go."""

from pipeline.spec import Data
from pipeline.verdicts.measurements import Split


def split_of(digest: str, data: Data) -> Split:
    """The split of an image by its content alone.

    Args:
        digest: the SHA-256 of the file, in hexadecimal. Its first 48 bits, as a share of 2**48, decide.
        data: the shares of the splits.
    """
    position = int(digest[:12], 16) / 16**12
    if position < data.holdout:
        return "holdout"
    return "validation" if position < data.holdout + data.validation else "train"


def training_split_of(digest: str, data: Data) -> Split:
    """The split of an image that the source gives for training, where it gives none for validation."""
    return "validation" if int(digest[:12], 16) / 16**12 < data.validation else "train"
