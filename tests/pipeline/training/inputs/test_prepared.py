"""Images that are decoded once, and read as the served graph decodes them."""

import signal
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.errors import FailedError
from pipeline.spec import Image
from pipeline.training.inputs.fetching import Positions
from pipeline.training.inputs.prepared import Prepared, prepared
from pipeline.training.preprocessing import decoded
from tests.hunts import hunt
from tests.pictures import encoded, photograph
from tests.pipeline.training.inputs.stored import IMAGE, PLENTY, Stored

COUNT = 70


def served(content: bytes, image: Image) -> NDArray[np.float64]:
    pixels: NDArray[np.float64] = np.asarray(decoded(content, image), np.float64)
    return pixels


def of(
    stored: Stored, folder: Path, *, most_bytes: int = PLENTY, image: Image = IMAGE
) -> AbstractContextManager[Prepared]:
    return prepared(stored.rows(), stored.fetch, image=image, folder=folder, most_bytes=most_bytes)


@pytest.fixture(scope="module")
def stored() -> Stored:
    return Stored(COUNT)


@pytest.fixture(autouse=True)
def _nothing_fetched(stored: Stored) -> None:
    stored.fetched.clear()


@pytest.mark.parametrize("image", [IMAGE, Image(height=9, width=3, channels=1)])
def test_pixels_are_those_of_the_served_decoder_in_8_bits(stored: Stored, tmp_path: Path, image: Image) -> None:
    positions = np.array([60, 3, 3, 0, 69])
    with of(stored, tmp_path, image=image) as images:
        pixels = images.read(positions)

    assert "uint8" == str(pixels.dtype)
    expected = [np.round(served(stored.contents[at], image).astype(np.float32) * 255) for at in positions]
    assert np.array_equal(np.array(expected), pixels)


def test_large_and_small_images_are_decoded_together(tmp_path: Path) -> None:
    """A group ends before one that has many pixels."""
    mixed = Stored(5)
    mixed.contents[2:4] = [encoded(photograph((1200, 900), seed), "JPEG") for seed in (1, 2)]
    with of(mixed, tmp_path) as images:
        pixels = images.read(np.arange(5))

    expected = [np.round(served(content, IMAGE).astype(np.float32) * 255) for content in mixed.contents]
    assert np.array_equal(np.array(expected), pixels)


def test_each_image_is_fetched_and_decoded_once(
    stored: Stored, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"), of(stored, tmp_path) as images:
        images.read(np.arange(COUNT))
    assert list(range(COUNT)) == stored.fetched
    assert "0 of 70 images were in the cache" in caplog.text

    with of(stored, tmp_path) as images:
        images.read(np.arange(COUNT))
    assert COUNT == len(stored.fetched)


def test_only_new_images_are_fetched(stored: Stored, tmp_path: Path) -> None:
    with of(Stored(60), tmp_path):
        pass
    with of(stored, tmp_path):
        pass

    assert list(range(60, 70)) == stored.fetched


def test_another_size_is_another_cache(stored: Stored, tmp_path: Path) -> None:
    for image in (IMAGE, IMAGE.model_copy(update={"channels": 1})):
        with of(stored, tmp_path, image=image):
            pass

    assert 2 * COUNT == len(stored.fetched)
    assert 2 == len(list((tmp_path / "pixels").iterdir()))


def test_a_damaged_image_is_decoded_again_and_stored_again(stored: Stored, tmp_path: Path) -> None:
    with of(stored, tmp_path) as images:
        before = images.read(np.arange(COUNT))
        stored.fetched.clear()
        (path,) = tmp_path.glob("pixels/*/*.pixels")
        with path.open("r+b") as file:
            file.seek(3 * 60 + 7)
            file.write(b"damage of more than one image" * 3)

        assert np.array_equal(before, images.read(np.arange(COUNT)))
        assert [3, 4] == stored.fetched
        images.read(np.arange(COUNT))
    with of(stored, tmp_path) as images:
        assert np.array_equal(before, images.read(np.arange(COUNT)))
    assert [3, 4] == stored.fetched


def test_what_does_not_fit_is_fetched_whenever_it_is_read(
    stored: Stored, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with of(stored, tmp_path / "all") as images:
        expected = images.read(np.arange(COUNT))
    stored.fetched.clear()
    limit = 20 * (60 + 36)
    with of(stored, tmp_path / "some", most_bytes=limit) as images:
        images.read(np.arange(COUNT))
        stored.fetched.clear()

        assert np.array_equal(expected, images.read(np.arange(COUNT)))
        assert list(range(20, 70)) == stored.fetched
    assert "give more if the disk has it" in caplog.text
    assert limit >= sum(path.stat().st_size for path in (tmp_path / "some").glob("*/*/*"))


def test_a_split_of_one_image_and_an_empty_one(tmp_path: Path) -> None:
    one, none = Stored(1), Stored(0)
    with of(one, tmp_path) as images:
        assert (1, 4, 5, 3) == images.read(np.array([0])).shape
    with of(none, tmp_path) as images:
        assert 0 == len(images)
        assert (0, 4, 5, 3) == images.read(np.arange(0)).shape


def test_an_image_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    bad = Stored(40)
    bad.contents[33] = bad.contents[33][:20]
    name = "".join(bad.rows().names([33])[0])

    with (
        pytest.raises(
            FailedError,
            match=rf"{name} cannot be decoded, although the snapshot decoded it: Invalid JPEG data, size 20\. Remove",
        ),
        of(bad, tmp_path),
    ):
        raise AssertionError("it was prepared")


def test_an_error_of_the_bucket_ends_the_preparation(tmp_path: Path) -> None:
    """What was decoded before stays for the next try, but for the last few groups."""
    stored = Stored(700)

    def fetch(positions: Positions) -> list[bytes]:
        if positions[0] >= 500:
            raise FailedError("the bucket lost it")
        return stored.fetch(positions)

    with (
        pytest.raises(FailedError, match="the bucket lost it"),
        prepared(stored.rows(), fetch, image=IMAGE, folder=tmp_path, most_bytes=PLENTY),
    ):
        raise AssertionError("it was prepared")
    stored.fetched.clear()
    with of(stored, tmp_path):
        assert 200 < len(stored.fetched) < 600


def program(folder: Path, dies_at: int) -> list[str]:
    return [sys.executable, "-m", "tests.pipeline.training.inputs.preparing", str(folder), "2000", str(dies_at)]


@hunt
def test_two_preparations_at_once_end_with_all_images(tmp_path: Path) -> None:
    running = [subprocess.Popen(program(tmp_path, 0), stdout=subprocess.DEVNULL) for _ in range(2)]

    assert [0, 0] == [each.wait(timeout=60) for each in running]
    last = subprocess.run(program(tmp_path, 0), check=True, capture_output=True, text=True)
    assert "0" == last.stdout.strip()


@hunt
@pytest.mark.parametrize("dies_at", [1, 9, 300, 1000, 1999])
def test_a_preparation_that_is_killed_is_completed_by_the_next_one(tmp_path: Path, dies_at: int) -> None:
    """It decodes no more than the first one had not stored, and reads what a calm one reads."""
    killed = subprocess.run(program(tmp_path / "killed", dies_at), check=False, capture_output=True, text=True)
    again = subprocess.run(program(tmp_path / "killed", 0), check=True, capture_output=True, text=True)
    everything = Stored(2000)
    with of(everything, tmp_path / "killed") as images, of(everything, tmp_path / "calm") as calm:
        assert np.array_equal(calm.read(np.arange(2000)), images.read(np.arange(2000)))

    assert -signal.SIGKILL == killed.returncode, killed.stderr
    assert 2000 - dies_at <= int(again.stdout) <= 2000
