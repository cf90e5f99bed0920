"""One picture that explains one answer: what the network sees, which pixels speak for a class, how exact that is."""

import io
from dataclasses import dataclass
from typing import Any

from pipeline.training.explaining.files import SOFTWARE
from pipeline.training.explaining.integrated_gradients import GAP_LIMIT, Explained, Pixels
from pipeline.training.pictures.drawable import drawable_text, shown_label
from pipeline.training.pictures.heat import grey_or_rgb, heat_over

_LONGEST_TITLE = 70


@dataclass(frozen=True)
class Label:
    """A class, the way a picture names it."""

    number: int
    name: str

    def __str__(self) -> str:
        return shown_label(self.name, self.number)


def draw_overlay(
    pixels: Pixels, explained: Explained, *, title: str, answer: Label, probability: float, about: Label
) -> bytes:
    """A PNG file, 900 pixels wide: the picture as the network sees it, and beside it the heat map over it.

    It says in its metadata whose it is, see `pipeline.training.explaining.files`.

    Args:
        pixels: (height, width, channels) in [0, 1], 1 or 3 channels.
        explained: the attributions of `about`.
        title: the first line, such as the image and the version.
        answer: the class with the highest probability.
        probability: of the answer.
        about: the class that the heat map is about.
    """
    import matplotlib.figure

    ratio = min(max(pixels.shape[0] / pixels.shape[1], 0.4), 2.5)
    figure = matplotlib.figure.Figure(figsize=(9, 4.3 * ratio + 1.5), layout="constrained")
    lines = [
        drawable_text(title, longest=_LONGEST_TITLE),
        f"answer: {answer}, probability {probability:.3f}",
        completeness(explained),
    ]
    figure.suptitle("\n".join(lines), parse_math=False, fontsize=11)
    seen, heat = figure.subplots(1, 2)
    _show(seen, grey_or_rgb(pixels), f"what the network sees: {pixels.shape[1]} x {pixels.shape[0]} pixels")
    _show(
        heat,
        heat_over(pixels, explained.attributions),
        f"red: for {about}; blue: against it\nits probability: {explained.probability:.3f}",
    )
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=100, metadata={"Software": SOFTWARE})
    return stream.getvalue()


def completeness(explained: Explained) -> str:
    """The check of completeness, in a sentence."""
    found = (
        f"the pixels add up to {explained.attributions.sum():+.3f}, from {explained.baseline:.3f} for a black image: "
        f"gap {explained.gap:.1%}, {explained.steps} steps"
    )
    return found if explained.is_complete else f"{found}\nNOT EXACT: the gap is above {GAP_LIMIT:.0%}"


def _show(axes: Any, picture: Any, title: str) -> None:
    axes.imshow(picture, interpolation="nearest")
    axes.set_title(title, parse_math=False, fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])
