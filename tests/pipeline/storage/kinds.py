"""The buckets the pipeline knows, each as a test meets it, and a small model to put into them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.storage.bucket import Bucket
from pipeline.storage.gcs.bucket import GcsBucket
from pipeline.storage.local import LocalBucket
from pipeline.storage.memory import MemoryBucket
from pipeline.storage.objects import CallLimits
from pipeline.storage.s3.bucket import S3Bucket
from pipeline.storage.sums import FileSum, sum_of

# Long enough for a loaded machine, short enough to wait for in a test.
SHORT = CallLimits(connect=2, answer=2, retries=3, pause=0.2, between_writes=0)

MODEL = {
    "fingerprint.pb": b"",
    "saved_model.pb": b"graph",
    "variables/variables.data-00000-of-00001": bytes(range(256)) * 1000,
    "variables/variables.index": b"index",
}


@dataclass(frozen=True)
class Kind:
    """`opened` makes one more bucket that sees the same objects, as another process would."""

    opened: Callable[[], Bucket]
    # What `upload` and `copy` leave under a key when their process dies half-way.
    leaves_parts: bool


def local(root: Path) -> Kind:
    root.mkdir(parents=True, exist_ok=True)
    return Kind(lambda: LocalBucket(root), leaves_parts=False)


def memory() -> Kind:
    bucket = MemoryBucket()
    return Kind(lambda: bucket, leaves_parts=True)


def cloud(root: str) -> Kind:
    return Kind(lambda: GcsBucket(root, patience=SHORT), leaves_parts=True)


def s3(root: str) -> Kind:
    return Kind(lambda: S3Bucket(root, patience=SHORT), leaves_parts=True)


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def sums(files: dict[str, bytes]) -> dict[str, FileSum]:
    return {name: sum_of([content]) for name, content in files.items()}
