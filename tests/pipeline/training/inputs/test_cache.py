"""Decoded images on a disk: nothing damaged is ever read, whatever happens to the processes and to the files."""

import logging
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from pipeline.training.inputs.segment import ENTRY, INDEX, PIXELS
from tests.hunts import hunt_cases
from tests.pipeline.training.inputs.filling import IN_A_GROUP
from tests.pipeline.training.inputs.stored import IMAGE_BYTES, digests_of, opened, pixels_of, right_and_wrong

IMAGE_ON_DISK = IMAGE_BYTES + ENTRY.itemsize
COUNT = 30
PIXELS_OF_A_GROUP, GROUP = IN_A_GROUP * IMAGE_BYTES, IN_A_GROUP * IMAGE_ON_DISK
MOMENTS = [1, 61, PIXELS_OF_A_GROUP, PIXELS_OF_A_GROUP + 1, GROUP - 1, GROUP, GROUP + 100, 2 * GROUP + 37, 3 * GROUP]


def fill(folder: Path, count: int, *, first: int = 0) -> None:
    digests = digests_of(count, first=first)
    with opened(folder) as cache:
        cache.add(digests, pixels_of(digests))


def files(folder: Path, suffix: str = PIXELS) -> list[Path]:
    return sorted(folder.glob(f"*/*/*{suffix}"), key=lambda path: path.stat().st_mtime_ns)


def program(folder: Path, after: int) -> list[str]:
    return [sys.executable, "-m", "tests.pipeline.training.inputs.filling", str(folder), str(COUNT), str(after)]


def test_what_one_process_has_stored_the_next_one_reads(tmp_path: Path) -> None:
    fill(tmp_path, 20)
    with opened(tmp_path) as cache:
        right, wrong = right_and_wrong(cache, digests_of(10, first=15))

    assert [0, 1, 2, 3, 4] == right
    assert [] == wrong


def test_images_of_several_processes_are_found_together(tmp_path: Path) -> None:
    for first in (0, 10, 15):
        fill(tmp_path, 10, first=first)
    with opened(tmp_path) as cache:
        right, _ = right_and_wrong(cache, digests_of(30))

    assert list(range(25)) == right
    assert 3 == len(files(tmp_path))


def test_an_image_that_is_wanted_twice_is_found_twice(tmp_path: Path) -> None:
    """Two files whose converted images are the same."""
    fill(tmp_path, 2)
    with opened(tmp_path) as cache:
        places = cache.find(digests_of(2)[[1, 0, 1]])

    assert [1, 0, 1] == places.entries.tolist()
    assert [0, 0, 0] == places.segments.tolist()


@pytest.mark.parametrize("after", hunt_cases(MOMENTS, in_make_test=[61, PIXELS_OF_A_GROUP, GROUP - 1]))
def test_a_process_may_be_killed_at_any_byte(tmp_path: Path, after: int) -> None:
    """What it has stored is right, and the next process completes it."""
    killed = subprocess.run(program(tmp_path, after), check=False, capture_output=True, text=True)
    with opened(tmp_path) as cache:
        before = right_and_wrong(cache, digests_of(COUNT))
    subprocess.run(program(tmp_path, 0), check=True)
    with opened(tmp_path) as cache:
        completed = right_and_wrong(cache, digests_of(COUNT))

    assert -signal.SIGKILL == killed.returncode, killed.stderr
    groups, rest = divmod(after, GROUP)
    partly = max(0, rest - PIXELS_OF_A_GROUP) // ENTRY.itemsize
    assert (list(range(groups * IN_A_GROUP + partly)), []) == before
    assert (list(range(COUNT)), []) == completed


def test_two_processes_at_once_store_the_same_images(tmp_path: Path) -> None:
    running = [subprocess.Popen(program(tmp_path, 0)) for _ in range(2)]

    assert [0, 0] == [each.wait(timeout=30) for each in running]
    with opened(tmp_path) as cache:
        assert (list(range(COUNT)), []) == right_and_wrong(cache, digests_of(COUNT))


@pytest.mark.parametrize("suffix", [PIXELS, INDEX])
def test_every_damaged_byte_is_noticed(tmp_path: Path, suffix: str) -> None:
    """Of the pixels and of the index: the image is decoded again, and no other one is given for it."""
    fill(tmp_path, 3)
    (path,) = files(tmp_path, suffix)
    undamaged, index = path.read_bytes(), files(tmp_path, INDEX)[0].read_bytes()
    digests = digests_of(3)
    size = IMAGE_BYTES if suffix == PIXELS else ENTRY.itemsize
    for place in range(0, 3 * size, 5):
        damaged = bytearray(undamaged)
        damaged[place] ^= 1
        files(tmp_path, INDEX)[0].write_bytes(index)
        path.write_bytes(damaged)
        with opened(tmp_path) as cache:
            right, wrong = right_and_wrong(cache, digests)

        assert [number for number in range(3) if number != place // size] == right
        assert [] == wrong


def test_pixels_are_not_given_for_another_image(tmp_path: Path) -> None:
    """Two digests of the index have changed places."""
    fill(tmp_path, 3)
    (path,) = files(tmp_path, INDEX)
    index = np.fromfile(path, ENTRY)
    index["digest"][[0, 1]] = index["digest"][[1, 0]]
    path.write_bytes(index.tobytes())
    with opened(tmp_path) as cache:
        assert ([2], []) == right_and_wrong(cache, digests_of(3))


def test_a_damaged_image_is_not_found_the_next_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, 3)
    with files(tmp_path)[0].open("r+b") as file:
        file.seek(IMAGE_BYTES)
        file.write(b"damaged")
    with opened(tmp_path) as cache:
        right_and_wrong(cache, digests_of(3))

    assert f"is damaged, and is decoded again: {digests_of(3)[1].tobytes().hex()}" in caplog.text
    with opened(tmp_path) as cache:
        assert [0, -1, 0] == cache.find(digests_of(3)).segments.tolist()


@pytest.mark.parametrize("length", [0, 70, 119])
def test_a_file_that_is_cut_off_gives_the_images_before(tmp_path: Path, length: int) -> None:
    fill(tmp_path, 3)
    os.truncate(files(tmp_path)[0], length)
    with opened(tmp_path) as cache:
        assert (list(range(length // IMAGE_BYTES)), []) == right_and_wrong(cache, digests_of(3))


def test_a_segment_without_an_index_is_passed_over(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    files(tmp_path, INDEX)[0].unlink()
    with opened(tmp_path) as cache:
        assert ([], []) == right_and_wrong(cache, digests_of(3))


def test_segments_that_were_not_used_for_longest_are_removed_above_the_limit(tmp_path: Path) -> None:
    for number in range(8):
        fill(tmp_path, 100, first=100 * number)
    for age, path in enumerate(reversed(files(tmp_path))):
        os.utime(path, (10**9 - age, 10**9 - age))
    limit = 800 * IMAGE_ON_DISK
    with opened(tmp_path, most_bytes=limit) as cache:
        right_and_wrong(cache, digests_of(100))  # the oldest ones are used now
    with opened(tmp_path, most_bytes=limit) as cache:
        some = digests_of(150, first=800)
        cache.add(some, pixels_of(some))

        total = sum(path.stat().st_size for suffix in (PIXELS, INDEX) for path in files(tmp_path, suffix))
        assert total <= limit
        assert (list(range(150)), []) == right_and_wrong(cache, some)
    with opened(tmp_path) as cache:
        right, _ = right_and_wrong(cache, digests_of(800))
        assert [*range(100), *range(300, 800)] == right


def test_a_segment_that_is_read_is_not_removed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """By another process or by this one: what is not stored any more is read again all the time."""
    fill(tmp_path, 100)
    more = digests_of(100, first=100)
    with opened(tmp_path) as reading, opened(tmp_path, most_bytes=110 * IMAGE_ON_DISK) as cache:
        reading.find(digests_of(100))
        stored = cache.add(more, pixels_of(more))

        assert 0 < np.count_nonzero(stored.segments >= 0) <= 10
        assert not cache.stores
        assert (list(range(100)), []) == right_and_wrong(reading, digests_of(100))
    assert "the 1.06e-05 GB of UNDERSTUDY_CACHE_GB are less than an image, or full of images in use" in caplog.text


def test_an_image_that_is_larger_than_the_limit_is_not_stored(tmp_path: Path) -> None:
    with opened(tmp_path, most_bytes=IMAGE_BYTES) as cache:
        assert [-1] == cache.add(digests_of(1), pixels_of(digests_of(1))).segments.tolist()
    assert [] == files(tmp_path)


def test_a_folder_that_cannot_be_written_is_replaced_by_a_temporary_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    some = digests_of(5)
    with opened(tmp_path / "file") as cache:
        stored = cache.add(some, pixels_of(some))
        found = np.zeros((5, IMAGE_BYTES), np.uint8)

        assert [] == cache.read(some, stored, found)
        assert pixels_of(some).tobytes() == found.tobytes()
    assert [] == list((tmp_path / "temporary").iterdir())
    assert "Give a folder that this user may write as UNDERSTUDY_CACHE" in caplog.text


def test_a_full_disk_ends_the_storing_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """/dev/full refuses every byte, as a full disk does."""
    some = digests_of(5)
    with opened(tmp_path) as cache, Path("/dev/full").open("wb", buffering=0) as full:
        cache.add(some[:2], pixels_of(some[:2]))
        os.dup2(full.fileno(), cache._writer._pixels)  # type: ignore[union-attr]

        assert [-1] * 3 == cache.add(some[2:], pixels_of(some[2:])).segments.tolist()
        assert [-1] * 3 == cache.add(some[2:], pixels_of(some[2:])).segments.tolist()
        assert ([0, 1], []) == right_and_wrong(cache, some)
    assert "No space left on device" in caplog.text
    assert 1 == len([each for each in caplog.records if each.levelno == logging.WARNING])


def test_an_empty_split_is_found(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    with opened(tmp_path) as cache:
        assert 0 == len(cache.find(digests_of(0)).segments)
