"""What `explain` found, for people."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table
from rich.text import Text

from pipeline.inspection.history import visible


@dataclass(frozen=True)
class ExplainedImage:
    """One image, the answer, and where the picture is that explains it.

    Attributes:
        image: its file.
        answer: the label with the highest probability.
        probability: of the answer.
        about: the label that the picture is about.
        gap: of the completeness check, see `pipeline.training.explaining.integrated_gradients`.
        is_complete: whether the gap is within its limit.
        file: the picture.
        replaced: whether there was an earlier one.
    """

    image: Path
    answer: str
    probability: float
    about: str
    gap: float
    is_complete: bool
    file: Path
    replaced: bool


@dataclass(frozen=True)
class ExplainedImages:
    """All of them, in the order in which they were named, and why others could not be explained."""

    version: int
    images: Sequence[ExplainedImage]
    problems: str


def table(model: str, found: ExplainedImages) -> Table:
    """A line for each image."""
    view = Table(title=f"{model} v{found.version}", title_justify="left")
    about_another = any(each.about != each.answer for each in found.images)
    about = ["explained"] if about_another else []
    for column in ("image", "answer", "probability", *about, "gap", "file"):
        view.add_column(column, no_wrap=True)
    for each in found.images:
        gap = f"{each.gap:.1%}" if each.is_complete else f"{each.gap:.1%}: not exact"
        file = f"{each.file} (replaced)" if each.replaced else str(each.file)
        labels = [each.about] if about_another else []
        cells = [str(each.image), each.answer, f"{each.probability:.3f}", *labels, gap, file]
        view.add_row(*(Text(visible(cell)) for cell in cells))
    return view
