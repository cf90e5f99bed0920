"""The picture of what was confused with what; a warning of matplotlib is an error here."""

import io
import time

import pytest
from PIL import Image

from pipeline.training.pictures.confusion import confusion_table, draw_confusion, drawn_classes
from pipeline.training.pictures.drawable import shown


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


def test_of_many_labels_the_picture_shows_those_confused_most() -> None:
    labels = [f"label {number}" for number in range(1000)]
    truth = labels + ["label 500"] * 3 + ["label 900"] * 2
    given = labels + ["label 700"] * 3 + ["label 100"] * 2
    drawn = drawn_classes(truth, given, labels=labels)

    assert 20 == len(drawn)
    assert {100, 500, 700, 900} < set(drawn)
    assert sorted(drawn) == drawn


def test_of_few_labels_the_picture_shows_all() -> None:
    assert [0, 1, 2] == drawn_classes(["a"], ["a"], labels=["a", "b", "c"])


def test_the_table_lists_what_was_confused_and_how_often() -> None:
    table = confusion_table(["a", "b", "a", "a", "c"], ["b", "b", "c", "b", "a"])

    assert ["true label,given label,images", "a,b,2", "a,c,1", "c,a,1"] == table.splitlines()


def test_the_table_has_a_limit() -> None:
    labels = [str(number) for number in range(2000)]

    assert 1001 == len(confusion_table(labels, labels[::-1]).splitlines())


def test_time_grows_with_the_images_and_not_with_the_square_of_the_labels() -> None:
    """A matrix of so many labels would have 10,000,000,000 cells."""
    labels = [f"label {number}" for number in range(100_000)]
    given = [*labels[1:], labels[0]]
    start = time.monotonic()
    draw_confusion(labels, given, labels=labels, table="classes.csv")

    assert time.monotonic() - start < 20
