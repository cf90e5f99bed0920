"""The picture of what was confused with what; a warning of matplotlib is an error here."""

import io

import pytest
from PIL import Image

from pipeline.learning.confusion import draw_confusion, shown


def size(labels: list[str]) -> tuple[int, int]:
    content = draw_confusion(labels, list(reversed(labels)), labels=labels, table="classes.csv")
    with Image.open(io.BytesIO(content)) as picture:
        assert "PNG" == picture.format
        return picture.size


LABELS = ["Corn_(maize)___rust", "Pepper,_bell", "dog & cat", "cat's", "$x", "$x$ and $y_1^{$", "e\u0301te\u0301"]
STRANGE = ["😀", "日本語", "مرحبا", "new\nline", ".hidden", "a\u2215b", "x" * 255]


@pytest.mark.parametrize("label", [*LABELS, *STRANGE])
def test_any_label_is_drawn(label: str) -> None:
    width, height = size(["cat", label])

    assert width < 1000
    assert height < 1000


def test_a_thousand_labels_make_a_picture_that_can_be_opened() -> None:
    width, height = size([f"label {number}" for number in range(1000)])

    assert width <= 1200
    assert height <= 1200


def test_what_cannot_be_drawn_in_full_shows_its_class_number() -> None:
    labels = ["cat", "日本", "x" * 60, "e\u0301", "a\nb"]

    assert ["cat", "□□ #1", f"{'x' * 23}… #2", "é #3", "a□b #4"] == shown(labels)
