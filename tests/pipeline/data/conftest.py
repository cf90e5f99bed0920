"""A folder of pictures and an empty bucket, for tests of snapshots."""

from pathlib import Path

import pytest

from tests.pipeline.data.pictures import write_classes
from tests.pipeline.data.snapshots import CountingBucket


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """80 pictures of two labels."""
    return write_classes(tmp_path / "images")


@pytest.fixture
def bucket(tmp_path: Path) -> CountingBucket:
    (tmp_path / "bucket").mkdir()
    return CountingBucket(tmp_path / "bucket")
