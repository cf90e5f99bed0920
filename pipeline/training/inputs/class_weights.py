"""What an image of a class counts in the loss."""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.first_few import first_few


def class_weights(
    wanted: Literal["none", "balanced"] | Mapping[str, float], classes: NDArray[np.int32], labels: Sequence[str]
) -> NDArray[np.float32]:
    """The weight of each class, float32 (labels,).

    Args:
        wanted: `training.class_weights` of the model file. `balanced`: images / (classes with images x images of the
            class), so that the mean over the images is 1 and every class counts the same (G. King and L. Zeng,
            "Logistic Regression in Rare Events Data", 2001). 1 for a class without images.
        classes: the class number of each image.
        labels: of the classes, in their order. Weights of other ones are not read, see `label_problem`.
    """
    if wanted == "none":
        return np.ones(len(labels), np.float32)
    if wanted == "balanced":
        counts = np.bincount(classes, minlength=len(labels))
        present = max(1, np.count_nonzero(counts))
        return np.where(counts > 0, len(classes) / (present * np.maximum(counts, 1)), 1).astype(np.float32)
    return np.array([wanted.get(label, 1.0) for label in labels], np.float32)


def label_problem(wanted: str | Mapping[str, float], labels: Collection[str]) -> str | None:
    """Which labels have a weight and are none of those of the images, as a message; None if there is no such one."""
    unknown = [] if isinstance(wanted, str) else sorted(set(wanted) - set(labels))
    if not unknown:
        return None
    return (
        f"training.class_weights names {first_few(unknown, 20, shown=repr)}, which no image shows. The labels are "
        f"{first_few(sorted(labels), 20, shown=repr)}; correct the model file"
    )
