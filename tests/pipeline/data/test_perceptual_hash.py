"""Pictures that look alike have hashes that differ in few bits, others do not."""

import io
import itertools
from collections.abc import Callable

import pytest
from PIL import Image, ImageEnhance

from pipeline.data.decoding.perceptual_hash import perceptual_hash
from tests.pictures import encoded, photograph

NEAR = 3
PHOTOGRAPHS = [photograph((160, 120), seed) for seed in range(60)]


def distance(one: Image.Image, other: Image.Image) -> int:
    first, second = perceptual_hash(one), perceptual_hash(other)
    assert first is not None
    assert second is not None
    return (first ^ second).bit_count()


def as_jpeg(picture: Image.Image) -> Image.Image:
    return Image.open(io.BytesIO(encoded(picture, "JPEG", quality=75)))


@pytest.mark.parametrize(
    "change",
    [
        as_jpeg,
        lambda picture: picture.resize((144, 108)),
        lambda picture: picture.resize((80, 64)),
        lambda picture: picture.convert("L"),
        lambda picture: ImageEnhance.Brightness(picture).enhance(1.05),
        lambda picture: as_jpeg(picture.resize((112, 84))),
    ],
    ids=["JPEG of quality 75", "90 %", "50 %", "grey", "5 % brighter", "70 % and JPEG"],
)
def test_a_copy_that_was_saved_again_is_near(change: Callable[[Image.Image], Image.Image]) -> None:
    assert max(distance(picture, change(picture)) for picture in PHOTOGRAPHS) <= NEAR


def test_most_copies_that_were_cropped_a_little_are_near() -> None:
    near = sum(distance(picture, picture.crop((2, 1, 158, 119))) <= NEAR for picture in PHOTOGRAPHS)

    assert near / len(PHOTOGRAPHS) > 0.6


def test_different_pictures_are_far() -> None:
    assert min(distance(*pair) for pair in itertools.combinations(PHOTOGRAPHS, 2)) > 2 * NEAR


@pytest.mark.parametrize(
    "picture",
    [Image.new("RGB", (80, 80), "red"), Image.linear_gradient("L"), Image.radial_gradient("L")],
    ids=["one colour", "gradient", "vignette"],
)
def test_a_picture_that_shows_nothing_has_no_hash(picture: Image.Image) -> None:
    """Noise would decide its bits, so any two of them could look alike, and a copy could look different."""
    assert perceptual_hash(picture) is None


def test_the_hash_of_a_picture_never_changes() -> None:
    """It is stored with each image, and compared with those of later days."""
    assert 16386124694131194139 == perceptual_hash(PHOTOGRAPHS[0])
