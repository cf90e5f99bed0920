"""The same in an object store on this machine, whose answers come as late as those of a region."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.data import growth
from bench.data.files import write_images
from bench.scale.calls import proxied
from bench.scale.measuring import Usage, usage
from bench.serving.report import Row
from tests.object_storage import VARIABLE, ObjectStore, in_use
from tests.pipeline.storage.fault_proxy import Answer, FaultProxy

CALL_SECONDS = 0.03
_TURNS = 3


def measure(files: int, *, rounds: int) -> list[Row]:
    """Images and bucket are both in the store."""
    with in_use(ObjectStore()) as store, proxied(store) as proxy:
        few, many = (_uploaded(store, count) for count in (files // growth.TIMES, files))
        proxy.inject(_delayed)
        runs = [(_snapshots(store, proxy, few), _snapshots(store, proxy, many)) for _ in range(rounds)]
    figure = f"{files // growth.TIMES:,} to {files:,} objects in gs://, {CALL_SECONDS * 1e3:g} ms per call"
    return [*growth.rows(figure, runs), *_repeated(figure, [many for _, many in runs])]


def _delayed(forward: Callable[[], Answer]) -> Answer:
    time.sleep(CALL_SECONDS)
    return forward()


def _uploaded(store: ObjectStore, count: int) -> str:
    """The address of so many images."""
    bucket = store.bucket()
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder), count)
        bucket.upload(Path(folder), "images")
    bucket.close()
    return bucket.uri("images")


def _snapshots(store: ObjectStore, proxy: FaultProxy, images: str) -> dict[str, Usage]:
    bucket = store.bucket()
    turns = (("first", 1), ("next", _TURNS))
    env = {VARIABLE: proxy.endpoint}
    found = {name: usage("bench.data.passes", images, bucket.uri("root"), count, env=env) for name, count in turns}
    bucket.close()
    return found


def _repeated(figure: str, found: list[dict[str, Usage]]) -> list[Row]:
    first, following, listing = (
        [statistics.median(each[name].found[kind]) for each in found]
        for name, kind in (("first", "snapshots"), ("next", "snapshots"), ("next", "listings"))
    )
    return [
        _row(figure, "the first snapshot : the next one", first, following, goal=20.0, at_least=True),
        _row(figure, "the next one : a bare listing", following, listing),
    ]


def _row(
    figure: str, what: str, ours: list[float], theirs: list[float], *, goal: float | None = None, at_least: bool = False
) -> Row:
    return Row(
        figure=figure,
        what=what,
        value=statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True)),
        ours=f"{statistics.median(ours):.3g} s",
        baseline=f"{statistics.median(theirs):.3g} s",
        goal=goal,
        at_least=at_least,
    )
