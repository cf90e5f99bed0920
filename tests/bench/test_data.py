"""The bench of snapshots: its images, its rows, and that it still fits the code that it measures."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data import growth, repeated, unchanged
from bench.data.files import EDGE, encoded, list_plainly, remove_images, write_images
from bench.scale.measuring import Usage
from tests.hunts import hunt


def test_each_image_is_a_picture_in_colour_with_another_content() -> None:
    with Image.open(io.BytesIO(encoded(1))) as image:
        pixels = np.asarray(image)

    assert (EDGE, EDGE, 3) == pixels.shape
    assert pixels.std() > 50
    assert encoded(1) == encoded(1) != encoded(2)


def test_images_are_counted_and_removed(tmp_path: Path) -> None:
    write_images(tmp_path, 20)
    write_images(tmp_path, 3, first=20)
    assert 23 == list_plainly(tmp_path)
    remove_images(tmp_path, 3, first=20)

    assert 20 == list_plainly(tmp_path)


def test_ratios_are_medians_of_the_rounds_and_judged_by_their_goals() -> None:
    rounds = [{"first": 30.0, "next": 1.0, "listing": 0.4, "tenth": 3.0 * number} for number in (1, 1, 9)]
    rows = repeated.rows(rounds, files=10)

    assert [30.0, 2.5, 0.1] == [row.value for row in rows]
    assert ["met", "missed", "met"] == [row.verdict for row in rows]


def test_four_times_as_many_images_are_compared_in_time_and_in_memory() -> None:
    few, many = (
        Usage(cpu_seconds=seconds, peak_mb=peak, found={"snapshots": [seconds]})
        for seconds, peak in ((1.0, 100), (4.0, 130))
    )
    rows = growth.rows("many", [({"first": few, "next": few}, {"first": many, "next": many})])

    assert [4.0, 4.0, 1.3] * 2 == pytest.approx([row.value for row in rows])
    assert ["met", "", "missed"] * 2 == [row.verdict for row in rows]


@hunt
def test_a_small_one_measures_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "unchanged").mkdir()
    rows = [
        *repeated.measure(tmp_path, files=1_000, rounds=1),
        *unchanged.measure(tmp_path / "unchanged", files=500, rounds=1),
    ]

    assert 4 == len([row for row in rows if row.value])
