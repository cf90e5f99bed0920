"""A network that was loaded from a file, and what it must take and give to be wrapped."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import BadInputError
from pipeline.spec import Image


@dataclass(frozen=True)
class Loaded:
    """A network as it was loaded.

    Attributes:
        run: from a float32 batch of images to outputs (batch, classes), a function that TensorFlow can trace.
        variables: all that it reads.
        resources: what else it reads, such as tables.
    """

    run: Callable[[Any], Any]
    variables: Sequence[Any]
    resources: Sequence[Any] = ()


@dataclass(frozen=True)
class Port:
    """An input or an output: its name, its data type, and its shape; None for a size, or all of them, that may vary."""

    name: str
    dtype: str
    shape: Sequence[int | None] | None

    def __str__(self) -> str:
        return f"{self.name!r}: {self.dtype} {_shown(self.shape)}"


def require_ports(
    model: str, inputs: Sequence[Port], outputs: Sequence[Port], *, image: Image, labels: Sequence[str]
) -> None:
    """Check what a network takes and gives, as far as that is known before it runs.

    Raises:
        BadInputError: it has several inputs or outputs, or they have another type or shape than the images and labels.
    """
    wanted = (None, image.height, image.width, image.channels)
    if len(inputs) != 1 or inputs[0].dtype != "float32" or not _takes(inputs[0].shape, wanted):
        raise BadInputError(
            f"import.model: {model} takes {_listed(inputs)}. It must take one float32 batch of images of the size in "
            f"`image`, {_shown(wanted)}, and accept a batch of any size"
        )
    width = (None, len(labels))
    if len(outputs) != 1 or "float" not in outputs[0].dtype or not _takes(outputs[0].shape, width):
        raise BadInputError(
            f"import.model: {model} gives {_listed(outputs)}. It must give one batch of floats with a number for each "
            f"label in `import.labels`, {_shown(width)}"
        )


def _takes(shape: Sequence[int | None] | None, wanted: Sequence[int | None]) -> bool:
    """Whether a shape may be the wanted one. The batch must be free, and other sizes are free or the wanted ones."""
    if shape is None:
        return True
    return (
        len(shape) == len(wanted)
        and shape[0] is None
        and all(size in (None, one) for size, one in zip(shape[1:], wanted[1:], strict=True))
    )


def _listed(ports: Sequence[Port]) -> str:
    return ", ".join(map(str, ports)) or "nothing"


def _shown(shape: Sequence[int | None] | None) -> str:
    if shape is None:
        return "of any shape"
    sizes = [str(size) if size is not None else "any" if place else "batch" for place, size in enumerate(shape)]
    return f"({', '.join(sizes)})"
