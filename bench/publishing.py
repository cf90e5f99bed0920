"""What a verified, durable publish costs next to a plain copy of the same files.

    python -m bench.publishing [--only disk|cloud] [--rounds 9] [--megabytes 100] [--folder var/bench/publishing]

Ours is the whole verb: it claims a number, writes a manifest, copies the model, makes it durable, reads every byte
back (SHA-256 and CRC32C) and announces it in the journal; MLflow is not there. The baselines copy the files and do
nothing else. On the disk: `shutil.copytree`, and the same followed by an fsync of everything it made. In the cloud,
which is fake-gcs-server with its content in memory: an upload of the files by Google's transfer manager, and a copy
inside the bucket, object by object.

All take turns, each round in another order, after what is unwritten has reached the disk.
"""

import argparse
import logging
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.approved import approve
from pipeline import layout
from pipeline.context import RunContext, make_run_context
from pipeline.run_verbs import RUN_VERBS, run_once
from pipeline.runs.records import ProbeSet
from pipeline.settings import Settings
from pipeline.storage.sums import sums_of
from tests.object_storage import Bucket, ObjectStore, in_use
from tests.releases import MODEL, NO_MLFLOW

PROBES = ProbeSet(golden=(), fresh=())
SOURCE = "source"
COPY = "copy"
(PUBLISH,) = (verb for verb in RUN_VERBS if verb.name == "publish")

# One contestant's turn: gets the number of the round, returns what takes away what it made.
Turn = Callable[[int], Callable[[], object]]


def write_model(folder: Path, *, megabytes: int) -> None:
    """Files as an export has them: nearly everything is in one shard of variables."""
    content = random.Random(0)  # noqa: S311 - any bytes do, as long as they do not compress
    sizes = {
        "variables/variables.data-00000-of-00001": megabytes * 1_000_000,
        "variables/variables.index": 20_000,
        "saved_model.pb": 800_000,
        "fingerprint.pb": 60,
        "assets/labels.txt": 1_000,
    }
    for name, size in sizes.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.randbytes(size))


def copy_durably(source: Path, target: Path) -> None:
    """A plain copy that outlives a loss of power."""
    shutil.copytree(source, target)
    for path in (*target.rglob("*"), target, target.parent):
        sync(path)


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def context_of(root: str, run_key: str) -> RunContext:
    settings = Settings(root=root, mlflow_url=NO_MLFLOW, actor="ann", code_version="benchmark")
    return make_run_context(settings, model=MODEL, run_key=run_key)


def publish(root: str, take_away: Callable[[str], object]) -> Turn:
    """The verb, on runs that were approved before the first round."""

    def turn(number: int) -> Callable[[], object]:
        run_once(PUBLISH, context_of(root, f"retrain-{number}"))
        return lambda: take_away(layout.version(MODEL, number))

    return turn


def disk(folder: Path, model: Path, rounds: int) -> dict[str, Turn]:
    bucket = folder / "bucket"

    def plain(_: int) -> Callable[[], object]:
        shutil.copytree(bucket / SOURCE, bucket / COPY)
        return lambda: shutil.rmtree(bucket / COPY)

    def durable(_: int) -> Callable[[], object]:
        copy_durably(bucket / SOURCE, bucket / COPY)
        return lambda: shutil.rmtree(bucket / COPY)

    prepare(str(bucket), model, rounds)
    verb = publish(str(bucket), lambda key: shutil.rmtree(bucket / key))
    return {"publish": verb, "copy and fsync": durable, "copy": plain}


def cloud(model: Path, rounds: int) -> dict[str, Turn]:
    from google.cloud import storage
    from google.cloud.storage import transfer_manager

    bucket = Bucket("publishing")
    handle: Any = storage.Client(project="test").bucket(bucket.name)
    names = [path.relative_to(model).as_posix() for path in model.rglob("*") if path.is_file()]

    def upload(_: int) -> Callable[[], object]:
        files = [(str(model / name), handle.blob(f"{COPY}/{name}")) for name in names]
        transfer_manager.upload_many(files, worker_type=transfer_manager.THREAD, raise_exception=True)
        return lambda: bucket.remove(COPY)

    def copy(_: int) -> Callable[[], object]:
        for name in names:
            handle.copy_blob(handle.blob(f"{SOURCE}/{name}"), handle, f"{COPY}/{name}")
        return lambda: bucket.remove(COPY)

    prepare(bucket.uri(), model, rounds)
    verb = publish(bucket.uri(), bucket.remove)
    return {"publish": verb, "upload": upload, "copy inside the bucket": copy}


def prepare(root: str, model: Path, rounds: int) -> None:
    """Approve as many runs as there will be rounds, and one for a round that is not measured."""
    context_of(root, "init-0").bucket.upload(model, SOURCE)
    files = sums_of(model)
    for number in range(1, rounds + 2):
        approve(context_of(root, f"retrain-{number}"), SOURCE, files, PROBES)


def take_turns(turns: Mapping[str, Turn], rounds: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in turns}
    names = list(turns)
    # The first round is not counted: whatever is only done once is done in it.
    for number in range(1, rounds + 2):
        names = [*names[1:], names[0]]
        for name in names:
            os.sync()
            start = time.perf_counter()
            clear = turns[name](number)
            seconds[name].append(time.perf_counter() - start)
            clear()
    return {name: each[1:] for name, each in seconds.items()}


def report(where: str, seconds: Mapping[str, list[float]], *, megabytes: int) -> None:
    ours = statistics.median(seconds["publish"])
    for name, each in seconds.items():
        theirs = statistics.median(each)
        ratio = f"   publish / this {ours / theirs:.2f}" if name != "publish" else ""
        print(f"{where:6} {name:22} {theirs * 1000:6.0f} ms {megabytes / theirs:6.0f} MB/s{ratio}")  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.publishing")
    parser.add_argument("--only", choices=("disk", "cloud"))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--folder", type=Path, default=Path("var/bench/publishing"))
    options = parser.parse_args()
    # MLflow is not there, and that costs what it costs; no need to say it every time.
    logging.getLogger("pipeline.tracking.mirror").setLevel(logging.ERROR)
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        model = folder / "model"
        write_model(model, megabytes=options.megabytes)
        if options.only != "cloud":
            seconds = take_turns(disk(folder, model, options.rounds), options.rounds)
            report("disk", seconds, megabytes=options.megabytes)
        if options.only != "disk":
            with in_use(ObjectStore()):
                seconds = take_turns(cloud(model, options.rounds), options.rounds)
                report("cloud", seconds, megabytes=options.megabytes)


if __name__ == "__main__":
    main()
