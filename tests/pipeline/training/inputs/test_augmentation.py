"""Random changes: each keeps shape and range, and does what its name says, to some images and not to others."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.spec import Augmentation
from pipeline.training.inputs.augmentation import augmented

BATCH = 64


def noise(channels: int = 3) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (BATCH, 6, 5, channels), np.uint8)


def changed(pixels: NDArray[np.uint8], seed: int = 1, **augmentation: Any) -> NDArray[np.float32]:
    import tensorflow as tf

    found = augmented(tf.constant(pixels), Augmentation.model_validate(augmentation), tf.constant([seed, 0], tf.int64))
    result: NDArray[np.float32] = found.numpy()
    return result


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "augmentation",
    [
        {},
        {"flip": "both"},
        {"crop": 0.99},
        {"colour": {"brightness": 1}},
        {"colour": {"contrast": 0.99}},
        {"colour": {"saturation": 0.99}},
        {"colour": {"hue": 0.5}},
        {"flip": "both", "crop": 0.5, "colour": {"brightness": 1, "contrast": 0.9, "saturation": 0.99, "hue": 0.5}},
    ],
)
def test_shape_and_range_stay_and_the_seed_decides(channels: int, augmentation: dict[str, Any]) -> None:
    pixels = noise(channels)
    found = changed(pixels, **augmentation)

    assert pixels.shape == found.shape
    assert "float32" == str(found.dtype)
    assert found.min() >= 0
    assert found.max() <= 1
    assert np.array_equal(found, changed(pixels, **augmentation))
    nothing = [{}, {"colour": {"saturation": 0.99}}, {"colour": {"hue": 0.5}}] if channels == 1 else [{}]
    assert (augmentation in nothing) == np.array_equal(found, changed(pixels, seed=2, **augmentation))


def test_without_augmentation_pixels_are_those_of_the_cache() -> None:
    assert np.array_equal(noise().astype(np.float32) / np.float32(255), changed(noise()))


@pytest.mark.parametrize(
    ("flip", "axes"), [("horizontal", [(1,)]), ("vertical", [(0,)]), ("both", [(0,), (1,), (0, 1)])]
)
def test_a_flip_mirrors_some_images_and_leaves_others(flip: str, axes: list[tuple[int, ...]]) -> None:
    pixels = noise().astype(np.float32) / np.float32(255)
    found = changed(noise(), flip=flip)

    counts = {
        axis: sum(np.array_equal(np.flip(one, axis), other) for one, other in zip(pixels, found, strict=True))
        for axis in [(), *axes]
    }
    assert BATCH == sum(counts.values())
    assert all(count > BATCH / len(counts) / 3 for count in counts.values())


def test_a_crop_cuts_off_no_more_than_its_share() -> None:
    """Of a picture whose values grow from left to right by 1 in all: what is left grows by 0.7 to 1."""
    ramp = np.tile(np.linspace(0, 255, 52).round().astype(np.uint8)[:, None], (BATCH, 6, 1, 3))
    found = changed(ramp, crop=0.3)
    spans = found[:, 0, -1, 0] - found[:, 0, 0, 0]

    assert 0.69 < spans.min() < 0.8
    assert 0.9 < spans.max() <= 1.001
    assert found[:, 0, 0, 0].max() > 0.15


def test_brightness_changes_by_its_share() -> None:
    factors = changed(np.full((BATCH, 2, 2, 3), 100, np.uint8), colour={"brightness": 0.2})[:, 0, 0, 0] / (100 / 255)

    assert 0.8 <= factors.min() < 0.85
    assert 1.15 < factors.max() <= 1.2001


def test_contrast_keeps_the_mean() -> None:
    pixels = np.tile(np.array([100, 140], np.uint8)[None, None, :, None], (BATCH, 1, 1, 3))
    found = changed(pixels, colour={"contrast": 0.5}) * 255
    spans = found[:, 0, 1, 0] - found[:, 0, 0, 0]

    assert found.mean(axis=(1, 2, 3)) == pytest.approx(np.full(BATCH, 120), abs=1e-3)
    assert 20 <= spans.min() < 25
    assert 55 < spans.max() <= 60.001


@pytest.mark.parametrize("colour", [{"saturation": 0.99}, {"hue": 0.5}])
def test_grey_stays_grey(colour: dict[str, float]) -> None:
    grey = np.repeat(noise(1), 3, axis=3)

    assert changed(grey, colour=colour) == pytest.approx(grey / 255, abs=1e-5)


def test_hue_turns_colours_by_up_to_its_share_of_the_circle() -> None:
    """A sixth turns red into anything between yellow and magenta; its brightest channel stays."""
    red = np.zeros((BATCH, 1, 1, 3), np.uint8)
    red[..., 0] = 200
    found = changed(red, colour={"hue": 1 / 6})[:, 0, 0] * 255

    assert found[:, 0] == pytest.approx(np.full(BATCH, 200), abs=1e-3)
    assert found[:, 1].max() > 150
    assert found[:, 2].max() > 150
    assert np.minimum(found[:, 1], found[:, 2]).max() < 1e-3
