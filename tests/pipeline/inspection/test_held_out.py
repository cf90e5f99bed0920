"""The held-out images of a run, which may be more than fit into memory."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from pipeline import layout
from pipeline.errors import FailedError
from pipeline.inspection.held_out import HeldOut
from pipeline.runs.records import Example, SnapshotRecord
from pipeline.storage.local import LocalBucket
from pipeline.training.scoring.exported_model import BATCH

MODEL = "pets"
LABELS = ("cat", "dog")
IMAGES = 4 * BATCH + 5


class Counted(bytes):
    """A content that is counted as long as it is in memory."""

    alive: ClassVar[int] = 0
    most: ClassVar[int] = 0

    def __new__(cls, content: bytes) -> "Counted":
        Counted.alive += 1
        Counted.most = max(Counted.most, Counted.alive)
        return super().__new__(cls, content)

    def __del__(self) -> None:
        Counted.alive -= 1


class CountingBucket(LocalBucket):
    def read_all(self, keys: Sequence[str]) -> list[bytes]:
        return [Counted(content) for content in super().read_all(keys)]


def content(number: int) -> bytes:
    return f"image {number}".encode()


@pytest.fixture
def bucket(tmp_path: Path) -> LocalBucket:
    return CountingBucket(tmp_path)


@pytest.fixture
def held_out(bucket: LocalBucket) -> HeldOut:
    examples = []
    for number in range(IMAGES):
        digest = hashlib.sha256(content(number)).hexdigest()
        bucket.create(layout.image(MODEL, digest, ".png"), content(number))
        examples.append(Example(sha256=digest, suffix=".png", label=LABELS[number % 2], split="holdout"))
    return HeldOut(bucket, MODEL, SnapshotRecord(digest="d" * 64, labels=LABELS, examples=tuple(examples)))


def test_every_image_comes_once_and_in_order_and_few_are_in_memory_at_once(held_out: HeldOut) -> None:
    Counted.most = Counted.alive = 0
    seen = 0
    for batch in held_out.batches():
        assert [content(seen + number) for number in range(len(batch))] == batch
        seen += len(batch)

    assert IMAGES == seen == len(held_out)
    assert Counted.most <= 3 * BATCH


def test_an_image_is_found_by_its_position(held_out: HeldOut) -> None:
    assert [content(7), content(2)] == held_out.images([7, 2])
    assert ["dog", "cat"] == [held_out.label(7), held_out.label(2)]
    assert [0, 1, 0] == held_out.classes[:3].tolist()


def test_an_image_that_is_lost_ends_the_batches(held_out: HeldOut, bucket: LocalBucket, tmp_path: Path) -> None:
    lost = layout.image(MODEL, hashlib.sha256(content(IMAGES - 1)).hexdigest(), ".png")
    (tmp_path / lost).unlink()

    with pytest.raises(FailedError, match="Trigger a new run"):
        list(held_out.batches())
