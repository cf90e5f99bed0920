"""A program: what a bucket on a full disk does, and what it does once there is room again; writes it as JSON.

    python -m tests.pipeline.storage.on_full_disk BUCKET MODEL {disk|limit}

`disk`: BUCKET is a small disk of its own, which is filled. `limit`: the system refuses files of more than a few pages,
which a write meets in the middle as it meets the end of a disk.
"""

import json
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import StorageError
from pipeline.storage.local import LocalBucket
from pipeline.storage.sums import sums_of

ROOM = 96 << 10
LARGE = b"x" * (2 * ROOM)
CONFIG = "serve/digits.config"
STAGED = "runs/digits/manual-1/model"


def main() -> None:
    root, model, kind = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    bucket = LocalBucket(root)
    bucket.create(CONFIG, b"old")
    bucket.upload(model, STAGED)
    actions: dict[str, Callable[[], object]] = {
        "create": lambda: bucket.create("journal/digits/00000001.json", LARGE),
        "replace": lambda: bucket.replace(CONFIG, LARGE, instead_of=b"old"),
        "upload": lambda: bucket.upload(model, "runs/digits/manual-2/model"),
        "copy": lambda: bucket.copy(STAGED, "serve/digits/1", expected=sums_of(model)),
    }
    with (filled if kind == "disk" else limited)(root):
        refusals = {name: refusal(action) for name, action in actions.items()}
        sys.stdout.write(
            json.dumps({"refusals": refusals, "files": files(root), "config": bucket.read(CONFIG).decode()}) + "\n"
        )
    for action in actions.values():
        action()
    sys.stdout.write(json.dumps({"files": files(root), "config": bucket.read(CONFIG) == LARGE}) + "\n")


def refusal(action: Callable[[], object]) -> str:
    try:
        action()
    except StorageError as error:
        return str(error)
    return ""


def files(root: Path) -> list[str]:
    """Without the locks, which hold nothing."""
    below = (path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file() and path.suffix != ".lock")
    return sorted(name for name in below if name != "ballast")


@contextmanager
def filled(root: Path) -> Iterator[None]:
    ballast = root / "ballast"
    with ballast.open("wb", buffering=0) as stream:
        try:
            while stream.write(LARGE):
                pass
        except OSError:
            stream.truncate(stream.tell() - ROOM)
    yield
    ballast.unlink()


@contextmanager
def limited(_: Path) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


if __name__ == "__main__":
    main()
