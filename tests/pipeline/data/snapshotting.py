"""A program for the tests: take one snapshot, keeping a part after every few images. Arguments: images, bucket, digest.

It writes the digest of the data set to the file that is named last.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from pipeline.data import parts
from pipeline.data.importing import import_images
from pipeline.spec import Data
from pipeline.storage.local import LocalBucket
from tests.releases import SPEC


def main(images: str, bucket: str, result: str) -> None:
    parts._ROWS = 10
    model = SPEC.model_copy(update={"data": Data(images=images, holdout=0.3)})
    found = import_images(LocalBucket(Path(bucket)), model, at=datetime.now(UTC))
    Path(result).write_text(found.digest, encoding="ascii")


if __name__ == "__main__":
    main(*sys.argv[1:])
