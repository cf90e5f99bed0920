"""What the length of the journal costs the verbs that read it, and what checkpoints cost.

    python -m bench.journal [gs] [disk] [checkpoints] [--entries 50 50000] [--rounds 5] [--folder var/bench/journal]

`gs` and `disk` measure verbs over journals of each length, in turn; `checkpoints` what one costs and how large it is.
Prints Markdown. In `gs` a process of this bench stands for Google Cloud Storage: each call takes 30 ms.
"""

import argparse
import logging
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.journal import checkpoint, google
from bench.journal.made import make
from bench.journal.verbs import VERBS, environment, seconds_of, seconds_of_command, set_to
from pipeline import layout
from pipeline.journal.journal import EVERY
from tests.releases import MODEL

CALL_SECONDS = 0.03
GOAL = 2.0
PLAN = "rollback --plan"
PARTS = ("gs", "disk", "checkpoints")
# The lengths at which a checkpoint is measured; and up to which a journal without one is read in gs://.
LENGTHS = (50, 5_000, 50_000)
READ_IN_GS = 2_000


@dataclass(frozen=True)
class Figure:
    """Of one verb over journals of each length: median seconds, and calls of the bucket (None: not counted)."""

    name: str
    seconds: Sequence[float]
    calls: Sequence[int | None]


def in_turn(turns: Mapping[int, Callable[[], float]], rounds: int) -> list[float]:
    """The median of each, which take turns in an order that alternates."""
    found: dict[int, list[float]] = {length: [] for length in turns}
    for number in range(rounds):
        for length in sorted(turns, reverse=bool(number % 2)):
            found[length].append(turns[length]())
    return [statistics.median(found[length]) for length in turns]


def on_disk(verbs: Sequence[str], buckets: Mapping[int, Path], rounds: int) -> Iterator[Figure]:
    def verb(name: str, bucket: Path) -> float:
        with set_to(environment(str(bucket))):
            return seconds_of(name)

    for name in verbs:
        for bucket in buckets.values():
            verb(name, bucket)  # what is imported then is not measured
        turns = {length: lambda b=bucket, n=name: verb(n, b) for length, bucket in buckets.items()}
        yield Figure(name, in_turn(turns, 4 * rounds), [None for _ in buckets])
    if PLAN not in verbs:
        return
    commands = {length: lambda b=bucket: seconds_of_command(PLAN, str(b)) for length, bucket in buckets.items()}
    yield Figure(f"{PLAN}, the whole command", in_turn(commands, rounds), [None for _ in buckets])


def in_gs(verbs: Sequence[str], buckets: Mapping[int, Path], rounds: int) -> Iterator[Figure]:
    def verb(name: str, store: google.Served) -> float:
        with set_to(environment(google.ROOT) | store.env()):
            return seconds_of(name)

    def calls(name: str, store: google.Served) -> int:
        before = store.calls()
        verb(name, store)
        return store.calls() - before

    with ExitStack() as stack:
        stores = {
            length: stack.enter_context(google.served(bucket, seconds=CALL_SECONDS))
            for length, bucket in buckets.items()
        }
        for name in verbs:
            counted = [calls(name, store) for store in stores.values()]
            turns = {length: lambda s=store, n=name: verb(n, s) for length, store in stores.items()}
            yield Figure(name, in_turn(turns, rounds), counted)


def part(text: str) -> str:
    """One of the parts. With `choices`, argparse would refuse the default of a list."""
    if text not in PARTS:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(PARTS)}")
    return text


def report_verbs(options: argparse.Namespace, *, retained: bool) -> None:
    lengths, rounds, verbs = options.entries, options.rounds, options.verb or list(VERBS)
    with ExitStack() as stack:
        buckets = {n: stack.enter_context(bucket_of(options.folder, n, retained=retained)) for n in lengths}
        if "gs" in options.parts:
            report(in_gs(verbs, buckets, rounds), lengths, f"gs://, {CALL_SECONDS * 1e3:g} ms for each call")
        if "disk" in options.parts:
            report(on_disk(verbs, buckets, rounds), lengths, "a disk")


def report(figures: Iterator[Figure], lengths: Sequence[int], where: str) -> None:
    counted = where.startswith("gs")
    names = [f"{length:,} entries" for length in lengths]
    row(where, *names, "ratio", "goal", *((f"calls, {name}" for name in names) if counted else ()))
    row(*["---"] * (len(names) * (2 if counted else 1) + 3))
    for each in figures:
        ratio = each.seconds[-1] / each.seconds[0]
        goal = f"at most {GOAL:g}" if each.name.startswith("rollback") else ""
        calls = [str(number) for number in each.calls if number is not None]
        row(each.name, *map(seconds_text, each.seconds), f"{ratio:.2f}", goal, *calls)
    print(flush=True)  # noqa: T201


def report_checkpoints(folder: Path, *, retained: bool) -> None:
    costs: list[list[str]] = []
    sizes: list[list[str]] = []
    reads: list[list[str]] = []
    for length in LENGTHS:
        with bucket_of(folder, length, retained=retained) as bucket:
            name = f"{length:,} entries"
            costs.append([name, *cost_cells(bucket)])
            sizes.append([name, *size_cells(checkpoint.sizes(bucket, retained=retained))])
            shutil.rmtree(bucket / layout.journal_checkpoints(MODEL))
            reads.append(
                [f"{name} on a disk", *read_cells(length + checkpoint.ADDED, checkpoint.first_read(str(bucket)))]
            )
    with bucket_of(folder, READ_IN_GS, retained=retained, checkpoints=False) as bucket, in_store(bucket):
        reads.append([f"{READ_IN_GS:,} entries in gs://", *read_cells(READ_IN_GS, checkpoint.first_read(google.ROOT))])
    table("checkpoint in gs://|to write it|calls|an entry|calls|ratio, to one entry|for each entry", costs)
    table(
        f"on a disk|{checkpoint.ADDED:,} more entries|new objects of checkpoints|how many|one whole checkpoint", sizes
    )
    table("first read, without a checkpoint|seconds|for each entry", reads)


def cost_cells(bucket: Path) -> list[str]:
    with in_store(bucket) as store:
        found = checkpoint.cost(google.ROOT, store.calls)
    ratio = found.seconds / found.entry_seconds
    written = [seconds_text(found.seconds), str(found.calls), seconds_text(found.entry_seconds)]
    return [*written, f"{found.entry_calls:.1f}", f"{ratio:.1f}", f"{ratio / EVERY:.2f}"]


def size_cells(found: checkpoint.Sizes) -> list[str]:
    return [bytes_text(found.entries), bytes_text(found.added), f"{found.objects:,}", bytes_text(found.whole)]


def read_cells(length: int, seconds: float) -> list[str]:
    return [seconds_text(seconds), f"{1000 * seconds / length:.2f} ms"]


@contextmanager
def in_store(bucket: Path) -> Iterator[google.Served]:
    """A store with the content of a bucket on a disk, which the environment names until the block ends."""
    with google.served(bucket, seconds=CALL_SECONDS) as store, set_to(environment(google.ROOT) | store.env()):
        yield store


@contextmanager
def bucket_of(folder: Path, length: int, *, retained: bool, checkpoints: bool = True) -> Iterator[Path]:
    """A bucket on a disk, deleted when the block ends."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        bucket = Path(name) / "bucket"
        make(bucket, length, retained=retained, checkpoint=checkpoints)
        yield bucket


def table(head: str, rows: Sequence[Sequence[str]]) -> None:
    names = head.split("|")
    row(*names)
    row(*["---"] * len(names))
    for each in rows:
        row(*each)
    print(flush=True)  # noqa: T201


def row(*cells: str) -> None:
    print("|", " | ".join(cells), "|", flush=True)  # noqa: T201


def seconds_text(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms" if seconds < 0.1 else f"{seconds:.2f} s"


def bytes_text(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.journal")
    parser.add_argument("parts", nargs="*", type=part, default=list(PARTS), metavar="|".join(PARTS))
    parser.add_argument("--entries", type=int, nargs="+", default=[50, 50_000])
    parser.add_argument("--verb", action="append", choices=VERBS, help="only this one; may be repeated")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--never-retired", action="store_true", help="journals in which no version was ever retired")
    parser.add_argument("--folder", type=Path, default=Path("var/bench/journal"))
    options = parser.parse_args()
    logging.disable(logging.ERROR)
    options.folder.mkdir(parents=True, exist_ok=True)
    retained = not options.never_retired
    if {"gs", "disk"} & set(options.parts):
        report_verbs(options, retained=retained)
    if "checkpoints" in options.parts:
        report_checkpoints(options.folder, retained=retained)


if __name__ == "__main__":
    main()
