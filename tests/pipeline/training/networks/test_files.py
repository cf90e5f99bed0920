"""Files of weights: those that Keras publishes and writes are loaded, all other ones are refused."""

from typing import Any

import pytest

from tests.pipeline.training.networks.programs import seen_once

OTHER = "Give a file of this network, or correct training.network.name"


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return seen_once(tmp_path_factory, "files", tmp_path_factory.mktemp("weights"))


@pytest.mark.parametrize("name", ["notop.h5", "long.h5", "base.weights.h5", "any name", "whole.weights.h5"])
def test_every_kind_of_file_is_loaded_whatever_its_name_is(seen: Any, name: str) -> None:
    assert seen["loaded"][name]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("large.h5", "layers with weights, and mobilenet_v3_small without its top 86"),
        ("top.h5", "layers with weights, and mobilenet_v3_small without its top 86"),
        ("swapped.h5", "its layer old/conv_bn has beta in the place of gamma"),
        ("large.weights.h5", "its weight layers/batch_normalization_10/vars/0 has the shape (72,), expected (96,)"),
        ("top.weights.h5", "weights, and mobilenet_v3_small without its top 206; the first other one is layers/conv2d"),
        ("empty.h5", "it has 0 weights in another structure; mobilenet_v3_small without its top has 206"),
    ],
)
def test_a_file_of_another_network_is_refused(seen: Any, name: str, problem: str) -> None:
    message = seen["refused"][name]

    assert message.startswith("training.network.weights: the weights in /")
    assert f"/{name} are not those of mobilenet_v3_small without its top: it" in message
    assert problem in message
    assert message.endswith(OTHER)


@pytest.mark.parametrize("name", ["short.h5", "page.h5"])
def test_a_damaged_file_is_refused(seen: Any, name: str) -> None:
    assert f"/{name} cannot be read as an HDF5 file: " in seen["refused"][name]
    assert "give the published file of Keras without the top" in seen["refused"][name]


def test_a_file_that_is_refused_changes_nothing(seen: Any) -> None:
    assert seen["unchanged"]
