"""The worst mistakes on one sheet: wrong answers with a high probability, with the pixels that led to some of them."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.training.pictures.drawable import shown_label
from pipeline.training.pictures.heat import grey_or_rgb, heat_over
from pipeline.training.scoring.mistakes import MOST

_COLUMNS = 8
_INCHES = 1.75
_LONGEST = 16


@dataclass(frozen=True)
class ShownMistake:
    """A wrong answer.

    Attributes:
        pixels: the picture as the network sees it, (height, width, channels) in [0, 1].
        truth: the number and the name of the true label.
        given: likewise, of the answer.
        probability: of the answer.
        attributions: of the answer, of the shape of `pixels`; None: not known.
        gap: how far they are from complete, see `pipeline.training.explaining.integrated_gradients`.
        is_complete: whether the gap is within its limit. If not, the colours say nothing.
    """

    pixels: NDArray[np.floating[Any]]
    truth: tuple[int, str]
    given: tuple[int, str]
    probability: float
    attributions: NDArray[np.floating[Any]] | None = None
    gap: float = 0.0
    is_complete: bool = True


def draw_mistakes(mistakes: Sequence[ShownMistake], *, wrong: int, images: int) -> bytes:
    """A PNG file, at most 1,400 pixels wide: each picture with both labels, and the heat map beside it if there is one.

    Args:
        mistakes: the worst first; at most `MOST` are drawn.
        wrong: how many answers were wrong.
        images: how many there were.
    """
    stream = io.BytesIO()
    mistakes_figure(mistakes, wrong=wrong, images=images).savefig(stream, format="png", dpi=100)
    return stream.getvalue()


def mistakes_figure(mistakes: Sequence[ShownMistake], *, wrong: int, images: int) -> Any:
    """What `draw_mistakes` draws, as a figure of matplotlib."""
    import matplotlib.figure

    drawn = mistakes[:MOST]
    cells = [cell for mistake in drawn for cell in _cells(mistake)]
    rows, columns = -(-len(cells) // _COLUMNS), min(_COLUMNS, max(4, len(cells)))
    size = (columns * _INCHES, rows * (_INCHES + 0.4) + 0.4)
    figure = matplotlib.figure.Figure(figsize=size, layout="constrained")
    figure.suptitle(_title(len(drawn), wrong=wrong, images=images), fontsize=10)
    if rows:
        axes = chain(figure.subplots(rows, columns, squeeze=False).flat)
        for each, cell in zip(axes, chain(cells, repeat(None)), strict=False):
            _show(each, cell)
    return figure


def _title(drawn: int, *, wrong: int, images: int) -> str:
    if not wrong:
        return f"no wrong answer for {images} held-out images"
    worst = f", the {drawn} with the highest probability" if drawn < wrong else ""
    answers = "answer" if wrong == 1 else "answers"
    return f"{wrong} wrong {answers} for {images} held-out images{worst}"


def _cells(mistake: ShownMistake) -> list[tuple[str, Any]]:
    """The picture, and the heat map if there is one, each with its text."""
    truth, given = (shown_label(name, number, longest=_LONGEST) for number, name in (mistake.truth, mistake.given))
    picture = f"true: {truth}\ngiven: {given}\nprobability {mistake.probability:.3f}"
    cells: list[tuple[str, Any]] = [(picture, grey_or_rgb(mistake.pixels))]
    if mistake.attributions is not None:
        mark = "" if mistake.is_complete else "NOT EXACT: "
        text = f"red: for this answer\nblue: against it\n{mark}gap {mistake.gap:.1%}"
        cells.append((text, heat_over(mistake.pixels, mistake.attributions)))
    return cells


def _show(axes: Any, cell: tuple[str, Any] | None) -> None:
    axes.set_axis_off()
    if cell is not None:
        text, picture = cell
        axes.imshow(picture, interpolation="nearest")
        axes.set_title(text, parse_math=False, fontsize=7, loc="left")
