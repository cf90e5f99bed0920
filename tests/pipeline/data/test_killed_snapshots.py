"""A snapshot may be killed after any side effect, and may run twice at once: a repeated one ends with the same data."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline import layout
from pipeline.data.snapshot.importing import import_images
from pipeline.storage.local import LocalBucket
from tests.hunts import hunt
from tests.pipeline.data.pictures import write_classes
from tests.pipeline.data.snapshots import spec

# Of one snapshot that nobody kills: 80 images, 8 parts between them, the manifest, and the parts that are removed.
EFFECTS = 80 + 8 + 1 + 8


@hunt
@pytest.mark.parametrize("effects", [11, 40, *range(86, EFFECTS + 1)])
def test_a_snapshot_that_is_killed_again_and_again_ends_with_the_same_data(tmp_path: Path, effects: int) -> None:
    """Each process is killed after more side effects than the one before, so that it ends."""
    folder = write_classes(tmp_path / "images")
    for name in ("bucket", "calm"):
        (tmp_path / name).mkdir()
    command = [sys.executable, "-m", "tests.pipeline.data.snapshotting", str(folder), str(tmp_path / "bucket")]
    result = tmp_path / "digest"
    for kills in range(1, 20):
        done = subprocess.run(
            [*command, str(effects * kills), str(result)], capture_output=True, text=True, check=False
        )
        if done.returncode != -signal.SIGKILL:
            break
    assert 0 == done.returncode, done.stderr

    calm = import_images(LocalBucket(tmp_path / "calm"), spec(folder), at=datetime.now(UTC))
    bucket = LocalBucket(tmp_path / "bucket")
    assert kills > 1
    assert calm.digest == result.read_text(encoding="ascii")
    assert bucket.names(layout.images("digits")) == LocalBucket(tmp_path / "calm").names(layout.images("digits"))
    assert [] == bucket.names(layout.snapshot_parts("digits"))
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
