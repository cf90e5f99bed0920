"""The order of an epoch, what a class counts, and how many images are fetched at once."""

import numpy as np
import pytest

from pipeline.training.inputs.class_weights import class_weights, label_problem
from pipeline.training.inputs.fetching import Positions, fetched
from pipeline.training.inputs.order import order_of


def test_the_order_is_a_permutation_that_differs_in_each_epoch() -> None:
    orders = [order_of(7, epoch, 1000).tolist() for epoch in range(5)]

    assert all(list(range(1000)) == sorted(order) for order in orders)
    assert 5 == len({tuple(order) for order in orders})


def test_the_order_is_the_same_everywhere() -> None:
    """With another version of NumPy, or on another machine: these numbers were written down."""
    assert [8, 6, 4, 0, 5, 7, 1, 3, 9, 2] == order_of(7, 2, 10).tolist()


def test_every_image_comes_to_every_place_equally_often() -> None:
    """A whole permutation, not the window of a buffer: 6 orders of 3, each about 1000 times in 6000."""
    found = np.array([order_of(seed, epoch, 3) for seed in range(60) for epoch in range(100)])
    _, counts = np.unique(found, axis=0, return_counts=True)

    assert 6 == len(counts)
    assert all(850 < count < 1150 for count in counts)


@pytest.mark.parametrize("count", [0, 1])
def test_the_order_of_one_image_and_of_none(count: int) -> None:
    assert list(range(count)) == order_of(0, 0, count).tolist()


CLASSES = np.array([0, 0, 0, 1], np.int32)


def test_without_weights_every_image_counts_one() -> None:
    assert [1, 1, 1] == class_weights("none", CLASSES, ["a", "b", "c"]).tolist()


def test_balanced_classes_count_the_same() -> None:
    """3 images with 2/3 and one with 2; a class without images changes nothing."""
    weights = class_weights("balanced", CLASSES, ["a", "b", "c"])

    assert [2 / 3, 2, 1] == pytest.approx(weights.tolist())
    assert pytest.approx(1) == float(weights[CLASSES].mean())


def test_weights_by_label() -> None:
    assert [1, 2.5, 1] == class_weights({"b": 2.5}, CLASSES, ["a", "b", "c"]).tolist()


def test_a_weight_of_an_unknown_label_is_a_problem() -> None:
    assert (
        "training.class_weights names 'd', which no image shows. The labels are 'a', 'b', 'c'; correct the model file"
    ) == label_problem({"d": 2, "a": 1}, ["a", "b", "c"])
    assert [None] * 2 == [label_problem(wanted, ["a", "b", "c"]) for wanted in ("balanced", {"c": 2})]


class Bucket:
    """Contents of one size, and how many of them are asked for at once."""

    def __init__(self, size: int) -> None:
        self.content = bytes(size)
        self.asked: list[int] = []

    def fetch(self, positions: Positions) -> list[bytes]:
        self.asked.append(len(positions))
        return [self.content] * len(positions)


def test_small_images_are_fetched_many_at_once() -> None:
    bucket = Bucket(1000)
    positions = np.arange(3, 3003)

    assert positions.tolist() == [position for position, _ in fetched(positions, bucket.fetch)]
    assert [8, 16, 32, 64, 128, 256, 512, 512] == bucket.asked[:8]
    assert 3000 == sum(bucket.asked)


def test_images_of_megabytes_are_fetched_eight_at_once() -> None:
    bucket = Bucket(4 << 20)

    assert 20 == len(list(fetched(np.arange(20), bucket.fetch)))
    assert [8, 8, 4] == bucket.asked


def test_of_no_images_none_are_fetched() -> None:
    bucket = Bucket(1)

    assert [] == list(fetched(np.arange(0), bucket.fetch))
    assert [] == bucket.asked
