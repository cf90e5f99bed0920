"""Which weights a training changes, and the order of them, by real training steps."""

from typing import Any

import pytest

from tests.pipeline.training.networks.programs import seen_once

STATISTICS = {"moving_mean", "moving_variance"}
NORMALIZATION = STATISTICS | {"gamma", "beta"}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return seen_once(tmp_path_factory, "phases", tmp_path_factory.mktemp("weights"))


def test_the_first_phase_trains_the_head_alone(seen: Any) -> None:
    assert [] == seen["head"]["kinds"]
    assert 2 == seen["head"]["head"]


def test_fine_tuning_changes_the_layers_below_but_no_batch_normalisation(seen: Any) -> None:
    assert ["bias", "kernel"] == seen["everything"]["kinds"]
    assert len(seen["everything"]["layers"]) > len(seen["last"]["layers"])


def test_fine_tuning_of_the_last_layers_leaves_those_below(seen: Any) -> None:
    assert seen["last"]["layers"]
    assert set(seen["last"]["layers"]) <= set(seen["last_layers"])


def test_without_pretrained_weights_everything_is_trained_with_batch_normalisation(seen: Any) -> None:
    assert {"kernel", *NORMALIZATION} <= set(seen["scratch"]["kinds"])


def test_without_pretrained_weights_batch_normalisation_takes_a_hundredth_of_its_statistics_from_each_step(
    seen: Any,
) -> None:
    """Of MobileNetV3, Keras takes a thousandth. That gave 0.5 for each of 5,000 photographs after 30 epochs of them."""
    assert 0.99 == max(seen["momenta"])


def test_the_order_of_the_variables_depends_on_nothing_but_the_network(seen: Any) -> None:
    assert seen["same_order"]


@pytest.mark.parametrize("network", ["application", "small", "own"])
def test_a_network_in_float32_takes_the_weights_of_one_in_16_bits(seen: Any, network: str) -> None:
    assert seen["mixed"][network]["half"]
    assert ["float32", "float32"] == seen["mixed"][network]["kinds"]
    low, high = seen["mixed"][network]["between"]
    assert seen["mixed"][network]["difference"] < 0.03 < (high - low) / 5
