"""Snapshots of one source in a process of its own, each with a bare listing before it.

    python -m bench.data.passes IMAGES ROOT COUNT

Prints the seconds of each snapshot and of each listing.
"""

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from bench.data.files import list_plainly, spec_of
from bench.scale.measuring import answer
from pipeline.data.snapshot.importing import import_images
from pipeline.storage.opening import open_bucket


def seconds_of(work: Callable[[], object]) -> float:
    """Wall time."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def take_snapshot(images: str, root: str) -> str:
    """The digest of the data set."""
    return import_images(open_bucket(root, seconds=30), spec_of(images), at=datetime.now(UTC)).digest


def list_bare(images: str) -> int:
    """The number of files below an address, found with as little work as possible."""
    if not images.startswith("gs://"):
        return list_plainly(images)
    from google.cloud import storage as google

    name, _, prefix = images.removeprefix("gs://").partition("/")
    client = google.Client(project="test")
    fields = "items(name,size,crc32c),nextPageToken"
    found = sum(1 for _ in client.list_blobs(name, prefix=f"{prefix}/", fields=fields))
    client.close()
    return found


def main() -> None:
    images, root, count = sys.argv[1:]
    found: dict[str, list[float]] = {"listings": [], "snapshots": []}
    for _ in range(int(count)):
        found["listings"].append(seconds_of(lambda: list_bare(images)))
        found["snapshots"].append(seconds_of(lambda: take_snapshot(images, root)))
    answer(found)


if __name__ == "__main__":
    main()
