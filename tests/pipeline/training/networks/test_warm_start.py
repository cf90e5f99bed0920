"""A training that begins with the weights of a version that was exported."""

from typing import Any

import numpy as np
import pytest

from tests.pipeline.training.networks.programs import seen_once

OTHER = "cold start: the serving version has another network: "


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return seen_once(tmp_path_factory, "warm", tmp_path_factory.mktemp("versions"))


def test_the_same_network_answers_as_the_version(seen: Any) -> None:
    assert "warm start: 6 weights of the serving version were taken" == seen["same"]["sentence"]
    np.testing.assert_allclose(seen["answers"], seen["same"]["answers"], atol=1e-6)


def test_the_random_numbers_of_a_training_stay_those_of_its_seed(seen: Any) -> None:
    assert [False] == seen["same"]["generators"]


def test_the_head_is_taken_by_label_and_new_labels_begin_at_random(seen: Any) -> None:
    old, new, random = (np.array(each) for each in (seen["kernel"], seen["labels"]["kernel"], seen["labels"]["random"]))
    sentence = "warm start: 6 weights of the serving version were taken; the outputs of new labels begin with random "

    assert f"{sentence}weights: dog" == seen["labels"]["sentence"]
    np.testing.assert_array_equal(np.stack([old[:, 1], random[:, 1], old[:, 0], old[:, 2]], axis=1), new)


def test_labels_in_another_order_keep_their_answers(seen: Any) -> None:
    np.testing.assert_allclose(np.array(seen["answers"])[:, ::-1], seen["order"]["answers"], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("deeper", f"{OTHER}7 variables, and this one has 9"),
        ("wider", f"{OTHER}sequential_"),
        (
            "headless with other labels",
            "cold start: the labels have changed, and the network does not end with a dense",
        ),
        ("foreign", "cold start: the serving version was not trained here: its variables have other names"),
        ("empty", "cold start: the variables of the serving version cannot be read: "),
    ],
)
def test_another_network_is_a_cold_start_and_changes_nothing(seen: Any, name: str, sentence: str) -> None:
    assert seen[name]["sentence"].startswith(sentence)
    assert not seen[name]["changed"]


def test_a_network_with_another_head_is_taken_over_if_the_labels_are_the_same(seen: Any) -> None:
    assert "warm start: 1 weights of the serving version were taken" == seen["headless"]["sentence"]
