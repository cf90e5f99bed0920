"""Which bucket an address stands for."""

from pathlib import Path

import pytest

from pipeline.errors import BadInputError
from pipeline.storage.gcs.bucket import GcsBucket
from pipeline.storage.local import LocalBucket
from pipeline.storage.opening import open_bucket
from pipeline.storage.s3.bucket import S3Bucket


def test_the_scheme_decides(tmp_path: Path) -> None:
    assert LocalBucket is type(open_bucket(str(tmp_path), seconds=1.0))
    assert GcsBucket is type(open_bucket("gs://some-bucket/prefix", seconds=1.0))
    assert S3Bucket is type(open_bucket("s3://some-bucket/prefix", seconds=1.0))


@pytest.mark.parametrize("root", ["s3://", "gs:///", "azure://bucket", "http://s3.example/bucket"])
def test_any_other_address_is_refused(root: str) -> None:
    with pytest.raises(BadInputError, match="is neither a path nor gs://bucket/prefix or s3://bucket/prefix"):
        open_bucket(root, seconds=1.0)
