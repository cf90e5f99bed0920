"""What a snapshot learns from an image file. Conversion itself is tested in tests/serving/test_images.py."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image, ImageDraw

from pipeline.data.decoding.image_files import read_image
from pipeline.data.source import UnreadableError
from serving.images import prepare
from tests import pictures
from tests.pictures import encoded, noise, photograph


def test_a_photograph_is_stored_as_it_is() -> None:
    content = encoded(photograph((160, 120)), "JPEG")
    read = read_image(content, channels=3)

    assert (content, ".jpg", 160, 120, False, False) == (
        *(read.content, read.suffix, read.width, read.height),
        *(read.is_converted, read.is_blank),
    )
    assert read.phash is not None
    assert 0 <= read.phash < 2**64


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("mode", "kind"), [("L", "JPEG"), ("RGB", "JPEG"), ("CMYK", "JPEG"), ("LA", "PNG"), ("P", "GIF")]
)
def test_what_is_stored_does_not_depend_on_the_channels(channels: int, mode: str, kind: str) -> None:
    """Grey with three channels, colour and CMYK with one: each is usable."""
    content = encoded(noise(mode), kind)

    assert read_image(content, channels=3) == read_image(content, channels=channels)


@pytest.mark.parametrize(
    ("reason", "content"),
    [
        ("is empty", b""),
        ("is not a PNG, JPEG", b"words"),
        ("is too large: its header claims 400,000,000 pixels", pictures.png_bomb()),
        ("is cut off: its end is missing", encoded(photograph(), "JPEG")[:-500]),
        ("is cut off: its end is missing", encoded(photograph(), "PNG")[:-500]),
        ("all its values are below 4096", encoded(Image.new("I;16", (9, 9), 4000), "PNG")),
    ],
    ids=lambda value: value if isinstance(value, str) else "content",
)
def test_what_cannot_be_used_is_refused(reason: str, content: bytes) -> None:
    with pytest.raises(UnreadableError, match=reason):
        read_image(content, channels=3)


def test_what_only_tensorflow_cannot_decode_is_refused() -> None:
    """A JPEG whose end mark is damaged: Pillow has all pixels by then."""
    content = encoded(noise("L"), "JPEG")[:-2] + b"\0\xd9"
    prepare(content)

    with pytest.raises(UnreadableError, match=r"^is damaged \(TensorFlow: .*\); copy it again or remove it$"):
        read_image(content, channels=3)


@pytest.mark.parametrize("colour", ["black", "white", "#808080", "red"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_single_colour_is_blank(colour: str, kind: str) -> None:
    read = read_image(encoded(Image.new("RGB", (80, 80), colour), kind), channels=3)

    assert read.is_blank
    assert read.phash is None


def test_a_single_colour_with_the_noise_of_a_camera_is_blank() -> None:
    picture = Image.effect_noise((80, 80), 1.5)

    assert read_image(encoded(picture, "PNG"), channels=1).is_blank


def test_a_few_letters_on_a_page_are_not_blank() -> None:
    page = Image.new("L", (400, 560), "white")
    ImageDraw.Draw(page).text((100, 100), "a few words", fill="black")

    assert not read_image(encoded(page, "PNG"), channels=1).is_blank


@pytest.mark.parametrize(("has_hash", "size"), [(True, (64, 64)), (False, (63, 200)), (False, (200, 63))])
def test_small_images_have_no_perceptual_hash(has_hash: bool, size: tuple[int, int]) -> None:
    read = read_image(encoded(photograph(size), "PNG"), channels=3)

    assert not read.is_blank
    assert has_hash == (read.phash is not None)


def test_many_threads_may_read_at_once() -> None:
    """The first of them start TensorFlow."""
    contents = [encoded(noise(seed=number), "PNG") for number in range(50)]
    with ThreadPoolExecutor(16) as pool:
        read = list(pool.map(lambda content: read_image(content, channels=3), contents))

    assert contents == [each.content for each in read]
