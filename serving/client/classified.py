"""What a classification says: labels and probabilities of images."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from serving import signature
from serving.errors import ServerFaultError
from serving.replica import Answer


@dataclass(frozen=True)
class Classified:
    """The classes of some images.

    Attributes:
        version: the version that answered.
        address: the replica that answered, as `host:port`.
        labels: the most probable class of each image.
        probabilities: of each class, float32, shape (images, classes).
        class_names: the labels of all classes, in the order of the probabilities; None if the version was exported
            without them.
    """

    version: int
    address: str
    labels: tuple[str, ...]
    probabilities: NDArray[np.float32] = field(repr=False)
    class_names: tuple[str, ...] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        """The number of images."""
        return len(self.labels)

    def top(self, count: int) -> list[list[tuple[str, float]]]:
        """For each image the most probable classes, as label and probability, the most probable one first.

        Without the names of the classes, all but the most probable one are named by their number, as in "class 3",
        counted from 0. Of two equal probabilities, the class with the lower number comes first.

        Args:
            count: of classes, at least 1; of fewer classes, all of them.

        Raises:
            ValueError: the count is below 1.
        """
        if count < 1:
            raise ValueError(f"the top {count} classes do not exist; ask for at least 1")
        order = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :count]
        return [
            [(self._name(image, place, number), float(self.probabilities[image, number])) for place, number in ranked]
            for image, ranked in enumerate([list(enumerate(row)) for row in order.tolist()])
        ]

    def _name(self, image: int, place: int, number: int) -> str:
        if place == 0:
            return self.labels[image]
        return f"class {number}" if self.class_names is None else self.class_names[number]


def classified(answer: Answer, names: Sequence[str] | None) -> Classified:
    """The classes that an answer of a classifier names.

    Args:
        answer: of one of the signatures that classify, see `serving.signature`.
        names: the labels of all classes; they are left out if they are not as many as the probabilities.

    Raises:
        ServerFaultError: the answer is not that of a classifier.
    """
    try:
        labels = tuple(signature.labels_of(answer.outputs))
        probabilities = signature.probabilities_of(answer.outputs)
    except KeyError as missing:
        raise ServerFaultError(
            answer.address,
            f"its answer has no output {missing}, only {sorted(answer.outputs)}; `predict` asks any model",
        ) from missing
    if probabilities.ndim != 2 or len(probabilities) != len(labels) or probabilities.dtype.kind != "f":
        raise ServerFaultError(
            answer.address,
            f"it answers {len(labels)} labels and {probabilities.dtype} probabilities of shape {probabilities.shape}",
        )
    if not np.isfinite(probabilities).all():
        raise ServerFaultError(
            answer.address, "it answers probabilities that are not finite; withdraw this version, it is broken"
        )
    fitting = names is not None and len(names) == probabilities.shape[1]
    return Classified(
        version=answer.version,
        address=answer.address,
        labels=labels,
        probabilities=probabilities,
        class_names=tuple(names) if names is not None and fitting else None,
    )
