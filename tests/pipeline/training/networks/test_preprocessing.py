"""The preprocessing of each application is inside its network, and is that of Keras."""

from typing import Any, get_args

import pytest

from pipeline.spec.networks import ApplicationName
from tests.hunts import hunt
from tests.pipeline.training.networks.programs import seen_by, seen_once

# One of each kind of preprocessing.
SOME = ("resnet50", "efficientnet_v2_b0", "mobilenet_v3_small")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return seen_once(tmp_path_factory, "preprocessing", *SOME)


@pytest.mark.parametrize("name", SOME)
def test_the_base_gets_what_keras_preprocesses_for_it(seen: Any, name: str) -> None:
    assert seen[name]["difference"] < 1e-3
    # What is not done by `preprocess_input` is done by the network.
    assert (name != "resnet50") == seen[name]["scales_itself"]


def test_resnet_gets_pixels_without_their_mean_and_the_other_ones_from_0_to_255(seen: Any) -> None:
    assert [pytest.approx(-123.68, abs=1), pytest.approx(151.06, abs=1)] == seen["resnet50"]["range"]
    assert [pytest.approx(0, abs=1), pytest.approx(255, abs=1)] == seen["mobilenet_v3_small"]["range"]


@pytest.mark.parametrize("name", SOME)
def test_the_preprocessing_can_be_saved_without_code(seen: Any, name: str) -> None:
    assert 0 == pytest.approx(seen[name]["copied"], abs=1e-6)
    assert "Lambda" not in seen[name]["layers"]
    assert [pytest.approx(1, abs=1e-5)] * 2 == seen[name]["sums"]


@hunt
def test_every_application_gets_what_keras_preprocesses_for_it() -> None:
    seen = seen_by("preprocessing", *get_args(ApplicationName))

    assert set(get_args(ApplicationName)) == {name for name, each in seen.items() if each["difference"] < 1e-3}
