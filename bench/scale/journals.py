"""What a journal entry costs whoever reads all of them, because there is no checkpoint, and what `announce` costs.

    python -m bench.scale.journals ROOT

reads the journal of the bucket ROOT. What verbs read where there is a checkpoint measures `bench.journal`.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.journal.made import make
from bench.retention import make_bucket
from bench.scale.calls import asking, proxied
from bench.scale.measuring import answer, show, usage
from pipeline import layout
from pipeline.journal.journal import Journal
from pipeline.storage.opening import open_bucket
from tests.object_storage import ObjectStore, in_use
from tests.pipeline.storage.fault_proxy import Answer
from tests.releases import MODEL

# Of one call to a bucket in the same region, as measured for the journal before.
CALL_SECONDS = 0.03


def read() -> None:
    answer(Journal(open_bucket(sys.argv[1], seconds=30), MODEL).read().seq)


def report_local(releases: int) -> None:
    """Reading it once, on a disk: what is left is the work on each entry, without a network."""
    with tempfile.TemporaryDirectory() as folder:
        few, many = Path(folder) / "few", Path(folder) / "many"
        make_bucket(few, 1)
        make_bucket(many, releases)
        size = sum(path.stat().st_size for path in (many / layout.journal(MODEL)).iterdir())
        base, used = (usage("bench.scale.journals", each) for each in (few, many))
    more = used.found - base.found
    show("bytes of a journal entry, without a verdict's reasons", size / used.found, "bytes")
    show(
        f"CPU to read an entry on a disk, of {used.found} without a checkpoint",
        1e3 * (used.cpu_seconds - base.cpu_seconds) / more,
        "ms",
    )
    show(f"memory of that, {used.found} entries", used.peak_mb - base.peak_mb, "MB")


def report_gcs(releases: int) -> None:
    """The same in an object store on this machine: CPU of the client alone, without the wait for a network."""
    with tempfile.TemporaryDirectory() as folder, in_use(ObjectStore()) as store:
        found = []
        for count in (1, releases):
            local = Path(folder) / str(count)
            make_bucket(local, count)
            bucket = store.bucket()
            bucket.upload(local / layout.journal(MODEL), layout.journal(MODEL))
            found.append(usage("bench.scale.journals", bucket.uri()))
            bucket.close()
    base, used = found
    more = used.found - base.found
    show(
        f"CPU to read an entry in gs://, of {used.found} without a checkpoint",
        1e3 * (used.cpu_seconds - base.cpu_seconds) / more,
        "ms",
    )


def report_delayed(releases: int) -> None:
    """The same with calls that take as long as in a region: here the waits count, so this is wall time."""
    with tempfile.TemporaryDirectory() as folder, in_use(ObjectStore()) as store, proxied(store) as proxy:
        make_bucket(Path(folder), releases)
        bucket = store.bucket()
        bucket.upload(Path(folder) / layout.journal(MODEL), layout.journal(MODEL))
        proxy.inject(_delayed)
        with asking(proxy):
            journal = Journal(open_bucket(bucket.uri(), seconds=30), MODEL)
            began = time.monotonic()
            entries = journal.read().seq
            seconds = time.monotonic() - began
        bucket.close()
    show(
        f"time to read an entry in gs://, of {entries}, {CALL_SECONDS * 1e3:g} ms per call",
        1e3 * seconds / entries,
        "ms",
    )


def _delayed(forward: Callable[[], Answer]) -> Answer:
    time.sleep(CALL_SECONDS)
    return forward()


def report_announce(few: int, many: int) -> None:
    """The verb that runs every two minutes for each model, on a disk: most of it is the start of Python."""
    with tempfile.TemporaryDirectory() as folder:
        for releases in (few, many):
            root = Path(folder) / str(releases)
            make(root, 5 * releases, retained=True)
            env = {"UNDERSTUDY_ROOT": str(root), "UNDERSTUDY_PARAMS": '{"announced": [], "grace_seconds": 0}'}
            used = usage("pipeline", "announce", "--model", MODEL, env=env, json_expected=False)
            show(f"`announce` on a disk, {5 * releases} entries: CPU", used.cpu_seconds, "s")
            show(f"`announce` on a disk, {5 * releases} entries: peak memory", used.peak_mb, "MB")


if __name__ == "__main__":
    read()
