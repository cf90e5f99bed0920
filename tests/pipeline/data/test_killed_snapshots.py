"""A snapshot may be killed after any side effect, and may run twice at once: a repeated one ends with the same data."""

import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline import layout
from pipeline.data.importing import import_images
from pipeline.storage.local import LocalBucket
from tests.hunts import hunt
from tests.pipeline.data.pictures import write_classes
from tests.pipeline.data.test_importing import spec


@hunt
@pytest.mark.parametrize("seed", range(4))
def test_a_snapshot_that_is_killed_again_and_again_ends_with_the_same_data(tmp_path: Path, seed: int) -> None:
    folder = write_classes(tmp_path / "images")
    for name in ("bucket", "calm"):
        (tmp_path / name).mkdir()
    chance = random.Random(seed)  # noqa: S311 - no secret
    command = [sys.executable, "-m", "tests.pipeline.data.snapshotting", str(folder), str(tmp_path / "bucket")]
    result = tmp_path / "digest"
    kills = 0
    while not result.exists():
        # Later each time, so that it ends.
        seconds = chance.uniform(0.5, 2.0) + 0.3 * kills
        process = subprocess.Popen([*command, str(result)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            assert 0 == process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1

    calm = import_images(LocalBucket(tmp_path / "calm"), spec(folder), at=datetime.now(UTC))
    bucket = LocalBucket(tmp_path / "bucket")
    assert kills
    assert calm.digest == result.read_text(encoding="ascii")
    assert bucket.names(layout.images("digits")) == LocalBucket(tmp_path / "calm").names(layout.images("digits"))
    assert calm.digest == import_images(bucket, spec(folder), at=datetime.now(UTC)).digest


def test_two_copies_at_once_find_the_same(tmp_path: Path) -> None:
    folder = write_classes(tmp_path / "images")
    (tmp_path / "bucket").mkdir()
    bucket = LocalBucket(tmp_path / "bucket")
    with ThreadPoolExecutor(2) as pool:
        copies = [pool.submit(import_images, bucket, spec(folder), at=datetime.now(UTC)) for _ in range(2)]
        digests = {copy.result().digest for copy in copies}

    assert 1 == len(digests)
    assert 80 == len(bucket.names(layout.images("digits")))
    assert digests == {import_images(bucket, spec(folder), at=datetime.now(UTC)).digest}
