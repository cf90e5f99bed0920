"""Four times as many images: what that does to the time and to the memory of a snapshot, in processes of their own."""

import shutil
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.data.files import write_images
from bench.scale.measuring import Usage, usage
from bench.serving.report import Row

TIMES = 4
# Of time, for four times as many; and of peak memory.
TIME_GOAL, MEMORY_GOAL = 4.2, 1.2


def measure(scratch: Path, *, files: int, rounds: int) -> list[Row]:
    """The first and the next snapshot of so many files, and of four times as many."""
    few, many = scratch / f"{files}", scratch / f"{TIMES * files}"
    write_images(few, files)
    write_images(many, TIMES * files)
    runs = [(snapshots(few, scratch / "bucket"), snapshots(many, scratch / "bucket")) for _ in range(rounds)]
    return rows(f"{files:,} to {TIMES * files:,} files on a disk", runs)


def snapshots(images: Path, root: Path) -> dict[str, Usage]:
    """The first and the next snapshot, in a bucket of their own."""
    root.mkdir()
    found = {name: usage("bench.data.passes", images, root, 1) for name in ("first", "next")}
    shutil.rmtree(root)
    return found


def rows(figure: str, runs: Sequence[tuple[Mapping[str, Usage], Mapping[str, Usage]]]) -> list[Row]:
    """Time and peak memory of both snapshots, each ratio the median of the rounds' ratios."""
    return [row for name in ("first", "next") for row in _rows(figure, name, runs)]


def _rows(figure: str, name: str, runs: Sequence[tuple[Mapping[str, Usage], Mapping[str, Usage]]]) -> Iterator[Row]:
    pairs = [(many[name], few[name]) for few, many in runs]
    times = [(_seconds(many), _seconds(few)) for many, few in pairs]
    yield _row(figure, f"time of the {name} snapshot", times, "s", TIME_GOAL)
    cpu = [(many.cpu_seconds, few.cpu_seconds) for many, few in pairs]
    yield _row(figure, f"CPU of the {name} snapshot, with the start of Python", cpu, "s")
    peaks = [(many.peak_mb, few.peak_mb) for many, few in pairs]
    yield _row(figure, f"peak memory of the {name} snapshot", peaks, "MB", MEMORY_GOAL)


def _seconds(used: Usage) -> float:
    """Wall time, without the start of Python."""
    return float(used.found["snapshots"][0])


def _row(figure: str, what: str, pairs: Sequence[tuple[float, float]], unit: str, goal: float | None = None) -> Row:
    many, few = (statistics.median(each) for each in zip(*pairs, strict=True))
    return Row(
        figure=figure,
        what=what,
        value=statistics.median(more / less for more, less in pairs),
        ours=f"{many:.3g} {unit}",
        baseline=f"{few:.3g} {unit}",
        goal=goal,
    )
