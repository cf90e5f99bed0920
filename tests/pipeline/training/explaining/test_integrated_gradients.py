"""Integrated gradients where the right answer is known, in one process that imports TensorFlow."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.once import once


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return once(tmp_path_factory, "attributions", _attributed)


def _attributed() -> Any:
    command = [sys.executable, "-m", "tests.pipeline.training.explaining.attributing"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_attributions_of_a_quadratic_function_are_exact(seen: Any) -> None:
    """The rule is exact for a gradient that is linear on the line."""
    assert seen["exact"] < 1e-6
    assert seen["exact_gap"] < 1e-5
    assert 32 == seen["exact_steps"]


def test_both_ends_of_the_line_are_answers_of_the_network(seen: Any) -> None:
    baseline, probability, expected = seen["ends"]

    assert 0 == baseline
    assert expected == pytest.approx(probability, abs=1e-5)


def test_another_baseline_gives_other_attributions(seen: Any) -> None:
    assert seen["from_grey"] < 1e-6


def test_the_steps_double_until_the_sum_is_complete(seen: Any) -> None:
    steps, gap, is_complete, limit = seen["steep"]

    assert steps in (64 * 2**each for each in range(5))
    assert gap <= limit
    assert is_complete


def test_doubled_steps_give_what_as_many_steps_at_once_give(seen: Any) -> None:
    assert seen["same_as_at_once"] < 1e-5


def test_where_the_most_steps_do_not_do_the_gap_says_so(seen: Any) -> None:
    steps, gap, is_complete = seen["too_few"]

    assert 64 == steps
    assert gap > 0.02
    assert not is_complete


def test_an_answer_that_is_the_same_for_both_images_is_complete(seen: Any) -> None:
    assert [0, 32] == seen["no_change"]


def test_what_cannot_be_explained_is_said_in_words(seen: Any) -> None:
    assert "the baseline has the shape (3, 4, 1), and the image (4, 3, 1)" == seen["shapes"]
    assert "class 2 does not exist: the network knows 2, counted from 0" == seen["class"]
    assert "the network has no gradient with respect to its input" == seen["no_gradient"]


def test_the_images_that_are_differentiated_at_once_are_bounded(seen: Any) -> None:
    """A million values: six photographs of the usual size, or 64 small pictures."""
    large, small = seen["largest_batch"]

    assert large <= 6
    assert small <= 64
