"""What a client may be given as images, and what it sends."""

import io
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Picture

from serving.client.images import batch_of

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)
COLOURS = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
PIXELS = np.linspace(0, 1, 24, dtype=np.float32).reshape(2, 4, 3)


def sent(images: Any) -> list[Any]:
    batch = batch_of(images)
    assert ("serving_default", ["image_bytes"]) == (batch.signature, list(batch.inputs))
    return list(batch.inputs["image_bytes"].tolist())


def decoded(content: bytes) -> NDArray[np.uint8]:
    return np.asarray(Picture.open(io.BytesIO(content)))


@pytest.mark.parametrize("one", [b"a\0", bytearray(b"a\0"), memoryview(b"a\0")])
def test_bytes_are_sent_as_they_are(one: Any) -> None:
    assert [b"a\0"] == sent(one)
    assert [b"a\0", b"b"] == sent([one, b"b"])


@pytest.mark.parametrize("array", [GREY, COLOURS, COLOURS[:, ::-1, :], GREY.T])
def test_an_array_of_bytes_becomes_a_png_with_the_same_values(array: NDArray[np.uint8]) -> None:
    (content,) = sent(array)

    assert content.startswith(b"\x89PNG")
    assert array.tolist() == decoded(content).tolist()


def test_an_array_may_have_one_channel() -> None:
    (content,) = sent(GREY[:, :, np.newaxis])

    assert GREY.tolist() == decoded(content).tolist()


def test_arrays_and_files_go_together_in_their_order() -> None:
    content, first, second = sent([b"file", GREY, COLOURS])

    assert b"file" == content
    assert [GREY.tolist(), COLOURS.tolist()] == [decoded(each).tolist() for each in (first, second)]


def test_an_array_of_four_dimensions_is_several_images() -> None:
    assert [COLOURS.tolist()] * 2 == [decoded(each).tolist() for each in sent(np.stack([COLOURS, COLOURS]))]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("several", [False, True])
def test_floats_are_sent_as_pixels(dtype: type, *, several: bool) -> None:
    array: NDArray[Any] = PIXELS.astype(dtype)
    batch = batch_of([array, array] if several else array)

    assert ("serving_tensor", ["pixels"]) == (batch.signature, list(batch.inputs))
    assert "float32" == batch.inputs["pixels"].dtype.name
    assert (2 if several else 1, 2, 4, 3) == batch.inputs["pixels"].shape
    assert array.astype(np.float32).tolist() == batch.inputs["pixels"][-1].tolist()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "there are no images; give at least one"),
        (np.zeros((0, 4, 4, 3), np.uint8), "there are no images; give at least one"),
        (b"", "image 0 has no bytes"),
        ([b"a", b""], "image 1 has no bytes"),
        ("a.png", "image 0 is str; an image is the bytes of a PNG or JPEG file"),
        (None, "image 0 is NoneType"),
        ([b"a", None], "image 1 is NoneType"),
        (GREY.astype(np.int64), "image 0 is an array of int64"),
        (GREY.astype(np.bool_), "image 0 is an array of bool"),
        (np.zeros((3, 4, 2), np.uint8), r"image 0 is an array of shape \(3, 4, 2\)"),
        (np.zeros((3, 4, 4), np.uint8), r"image 0 is an array of shape \(3, 4, 4\)"),
        (np.zeros(3, np.uint8), r"image 0 is an array of shape \(3,\)"),
        (np.zeros((0, 4), np.uint8), r"image 0 is an array of shape \(0, 4\)"),
        (np.zeros((3, 4)), r"the array of floats has the shape \(3, 4\)"),
        (np.zeros((3, 0, 1)), r"the array of floats has the shape \(3, 0, 1\)"),
        (255 * PIXELS, "the array of floats has values from 0 to 255; an image is"),
        (PIXELS - 0.5, "the array of floats has values from -0.5 to 0.5"),
        (PIXELS * np.nan, "the array of floats has values from nan to nan"),
        ([PIXELS, PIXELS[:1]], r"the arrays have the shapes \[\(1, 4, 3\), \(2, 4, 3\)\]; a request takes floats of"),
        ([b"a", PIXELS], "image 1 is an array of floats, and others are not"),
    ],
)
def test_what_is_no_image_is_refused_with_what_is_expected(images: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        batch_of(images)


def test_pillow_is_not_loaded_before_an_array_is_encoded() -> None:
    code = "import sys, serving.client; print(sorted({'PIL', 'tensorflow'} & set(sys.modules)))"

    assert "[]\n" == subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
