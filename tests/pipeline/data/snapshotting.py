"""A program for the tests: take one snapshot, keeping a part after every few images, and be killed on the way.

Arguments: images, bucket, after how many side effects on the bucket the process kills itself, and the file that gets
the digest of the data set if it comes so far.
"""

import os
import signal
import sys
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from pipeline.data.snapshot import parts
from pipeline.data.snapshot.importing import import_images
from pipeline.storage.bucket import Still
from pipeline.storage.local import LocalBucket
from tests.pipeline.data.snapshots import spec


class DeadlyBucket(LocalBucket):
    """A bucket after whose nth side effect the process is gone, whatever its other threads do at that moment."""

    def __init__(self, root: Path, effects: int) -> None:
        super().__init__(root)
        self._effects = effects
        # Threads may share it: each number is given once.
        self._count = count(1)

    def create(self, key: str, content: bytes) -> bool:
        created = super().create(key, content)
        self._done()
        return created

    def upload(self, source: Path, key: str) -> None:
        super().upload(source, key)
        self._done()

    def remove(self, key: str, *, still: Still | None = None) -> bool:
        removed = super().remove(key, still=still)
        self._done()
        return removed

    def _done(self) -> None:
        if next(self._count) == self._effects:
            os.kill(os.getpid(), signal.SIGKILL)


def main(images: str, bucket: str, effects: str, result: str) -> None:
    parts._ROWS = 10
    found = import_images(DeadlyBucket(Path(bucket), int(effects)), spec(images), at=datetime.now(UTC))
    Path(result).write_text(found.digest, encoding="ascii")


if __name__ == "__main__":
    main(*sys.argv[1:])
