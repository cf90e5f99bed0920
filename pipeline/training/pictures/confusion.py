"""Which label was taken for which: a picture that can be read, and a table, for any labels and any number of them.

Time and memory grow with the number of examples, not with the square of the number of labels.
"""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.training.pictures.drawable import shown

# With more labels than this neither names nor numbers can be read, and only those confused most are drawn.
_READABLE = 40
_MOST_CONFUSED = 20
_LONGEST_TABLE = 1000


def draw_confusion(truth: Sequence[str], given: Sequence[str], *, labels: Sequence[str], table: str) -> bytes:
    """A PNG file with a row and a column per label, in the order of `labels`; of many labels, those confused most.

    Labels that cannot be drawn, or not completely, show their class number.

    Args:
        truth: the true label of each image.
        given: the answer to each.
        labels: in the order of their indices.
        table: the name of the file that lists the labels by number, for the picture's caption.
    """
    import matplotlib.figure

    numbers = drawn_classes(truth, given, labels=labels)
    all_names = shown(labels)
    names = [all_names[number] for number in numbers]
    side = max(6.0, 0.4 * len(names) + 2)
    figure = matplotlib.figure.Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.add_subplot()
    _draw_cells(axes, _cells(truth, given, [labels[number] for number in numbers]))
    rotation = 90 if max(map(len, names)) > 3 else 0
    axes.set_xticks(range(len(names)), names, rotation=rotation, parse_math=False)
    axes.set_yticks(range(len(names)), names, parse_math=False)
    hint = f" (class numbers: see {table})" if names != [labels[number] for number in numbers] else ""
    axes.set(xlabel=f"given label{hint}", ylabel="true label")
    right = sum(true == answer for true, answer in zip(truth, given, strict=True))
    title = f"held-out images: {right} of {len(truth)} right"
    if len(names) < len(labels):
        title += f"\n{len(names)} of {len(labels)} labels: those confused most"
    axes.set_title(title)
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


def confusion_table(truth: Sequence[str], given: Sequence[str]) -> str:
    """CSV with a row for each pair of labels that were confused, the most frequent first; at most 1,000 rows."""
    stream = io.StringIO()
    rows = csv.writer(stream)
    rows.writerow(["true label", "given label", "images"])
    for (true, answer), count in _confusions(truth, given)[:_LONGEST_TABLE]:
        rows.writerow([true, answer, count])
    return stream.getvalue()


def drawn_classes(truth: Sequence[str], given: Sequence[str], *, labels: Sequence[str]) -> list[int]:
    """The class numbers in the picture, in ascending order: all of up to 40, otherwise the 20 confused most."""
    if len(labels) <= _READABLE:
        return list(range(len(labels)))
    number_of = {label: number for number, label in enumerate(labels)}
    chosen: dict[int, None] = {}
    for pair, _ in _confusions(truth, given):
        chosen.update(dict.fromkeys(number_of[label] for label in pair))
        if len(chosen) >= _MOST_CONFUSED:
            break
    # If fewer labels were confused, the first labels fill the picture.
    chosen.update(dict.fromkeys(range(_MOST_CONFUSED - len(chosen))))
    return sorted(list(chosen)[:_MOST_CONFUSED])


def _confusions(truth: Sequence[str], given: Sequence[str]) -> list[tuple[tuple[str, str], int]]:
    """Pairs of true and given label that differ, with their counts, the most frequent first."""
    counts = Counter((true, answer) for true, answer in zip(truth, given, strict=True) if true != answer)
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))


def _cells(truth: Sequence[str], given: Sequence[str], labels: Sequence[str]) -> Any:
    """The matrix of the counts, for these labels alone."""
    position = {label: index for index, label in enumerate(labels)}
    cells = np.zeros((len(labels), len(labels)), dtype=int)
    for (true, answer), count in Counter(zip(truth, given, strict=True)).items():
        if true in position and answer in position:
            cells[position[true], position[answer]] = count
    return cells


def _draw_cells(axes: Any, cells: Any) -> None:
    axes.imshow(cells, cmap="Blues")
    dark = cells.max() / 2
    for row, column in zip(*np.nonzero(cells), strict=True):
        count = cells[row, column]
        axes.text(column, row, str(count), ha="center", va="center", color="white" if count > dark else "black")
