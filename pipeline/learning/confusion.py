"""The confusion matrix as a picture, for any labels and any number of them."""

import io
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

# With more classes than this neither names nor numbers can be read.
_READABLE = 40
_LONGEST = 24
_NOT_DRAWABLE = "□"


def draw_confusion(truth: Sequence[str], given: Sequence[str], *, labels: Sequence[str], table: str) -> bytes:
    """A PNG file with a row and a column per label, in the order of `labels`.

    Labels that cannot be drawn, or not in full, show their class number; with many labels all of them do. `table` is
    the name of the file that lists the labels by that number.
    """
    import matplotlib.figure
    from matplotlib.ticker import MaxNLocator
    from sklearn.metrics import ConfusionMatrixDisplay, confusion_matrix

    count, readable = len(labels), len(labels) <= _READABLE
    side = max(6.0, 0.4 * count + 2) if readable else 9.0
    figure = matplotlib.figure.Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.add_subplot()
    # The numbers of the classes, not the labels: those may hold what matplotlib reads as mathematics.
    display = ConfusionMatrixDisplay(confusion_matrix(truth, given, labels=list(labels)), display_labels=range(count))
    display.plot(ax=axes, cmap="Blues", colorbar=not readable, include_values=readable)
    names = shown(labels) if readable else []
    if readable:
        rotation = 90 if max(map(len, names)) > 3 else 0
        axes.set_xticks(range(count), names, rotation=rotation, parse_math=False)
        axes.set_yticks(range(count), names, parse_math=False)
    else:
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(integer=True))
            axis.set_major_formatter("{x:.0f}")
    hint = f" (class numbers: see {table})" if names != list(labels) else ""
    axes.set(xlabel=f"given label{hint}", ylabel="true label")
    right = sum(true == answer for true, answer in zip(truth, given, strict=True))
    axes.set_title(f"held-out images: {right} of {len(truth)} right")
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


def shown(labels: Sequence[str]) -> list[str]:
    """What the picture shows of each label: the label, or what can be drawn of it and its class number."""
    drawable = _drawable()
    return [_shown(label, number, drawable) for number, label in enumerate(labels)]


def _shown(label: str, number: int, drawable: Callable[[str], bool]) -> str:
    composed = unicodedata.normalize("NFC", label)
    drawn = "".join(each if each.isprintable() and drawable(each) else _NOT_DRAWABLE for each in composed)
    cut = drawn if len(drawn) <= _LONGEST else f"{drawn[: _LONGEST - 1]}…"
    return cut if cut == label else f"{cut} #{number}"


def _drawable() -> Callable[[str], bool]:
    """Whether the font has a picture of a character; matplotlib warns of those it lacks."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font: Any = get_font(findfont(FontProperties()))
    return lambda character: font.get_char_index(ord(character)) != 0
