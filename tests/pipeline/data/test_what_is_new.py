"""Which images count as new: those that the serving version cannot have been trained on."""

from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.data.snapshot import parts
from pipeline.data.snapshot.importing import examined
from pipeline.errors import BadInputError
from pipeline.spec import ModelSpec
from tests.pipeline.data.pictures import png, write_old
from tests.pipeline.data.snapshots import NOON, CountingBucket, snapshot, spec


def new_paths(bucket: CountingBucket, model: ModelSpec, *, day: int) -> set[str]:
    with examined(model, at=NOON + timedelta(days=day), bucket=bucket) as found:
        return {image.path for image in found.new_images()}


def test_at_first_every_image_is_new_and_then_only_what_came(bucket: CountingBucket, folder: Path) -> None:
    assert 80 == len(new_paths(bucket, spec(folder), day=0))
    snapshot(bucket, spec(folder), day=1)
    write_old(folder / "cat" / "new.png", png(200))
    write_old(folder / "cat" / "known.png", png(7))

    assert {f"{folder}/cat/new.png"} == new_paths(bucket, spec(folder), day=2)


def test_what_a_refused_snapshot_has_read_is_still_new(
    bucket: CountingBucket, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a second try would not examine what made the first one fail."""
    monkeypatch.setattr(parts, "_ROWS", 10)
    snapshot(bucket, spec(folder))
    for shade in range(200, 240):
        write_old(folder / "dog" / f"{shade}.png", png(shade))
    write_old(folder / "dog" / "bad.png", png(99)[:-4])
    with pytest.raises(BadInputError):
        snapshot(bucket, spec(folder), day=1)
    stored = bucket.stored

    assert 40 == len(new_paths(bucket, spec(folder), day=2))
    assert stored == bucket.stored, "and is not read again"
