"""The first snapshot of many files, the next ones, a bare listing, and a snapshot after a tenth more images came."""

import os
import shutil
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.data.files import list_plainly, remove_images, write_images
from bench.data.passes import seconds_of, take_snapshot
from bench.serving.report import Row

# Turns of the short ones in a round, in which only the first snapshot is long.
_TURNS = 5


def measure(scratch: Path, *, files: int, rounds: int) -> list[Row]:
    images = scratch / "images"
    write_images(images, files)
    _warm_up(scratch)
    found = [_round(images, scratch / "bucket", files) for _ in range(rounds)]
    return rows(found, files=files)


def rows(found: Sequence[Mapping[str, float]], *, files: int) -> list[Row]:
    """The ratios, each the median of the rounds' ratios."""
    figure = f"{files:,} files on a disk"
    compared = (
        ("the first snapshot : the next one", "first", "next", 20.0, True),
        ("the next one : a bare listing", "next", "listing", 2.0, False),
        ("with a tenth more images : the first", "tenth", "first", 0.15, False),
    )
    return [
        Row(
            figure=figure,
            what=what,
            value=statistics.median(each[ours] / each[theirs] for each in found),
            ours=_seconds(found, ours),
            baseline=_seconds(found, theirs),
            goal=goal,
            at_least=at_least,
        )
        for what, ours, theirs, goal, at_least in compared
    ]


def _seconds(found: Sequence[Mapping[str, float]], name: str) -> str:
    return f"{statistics.median(each[name] for each in found):.3g} s"


def _warm_up(scratch: Path) -> None:
    """Load what a process loads once."""
    write_images(scratch / "few", 500)
    (scratch / "bucket of few").mkdir()
    take_snapshot(str(scratch / "few"), str(scratch / "bucket of few"))


def _round(images: Path, root: Path, files: int) -> dict[str, float]:
    root.mkdir()
    source, bucket = str(images), str(root)

    def snapshot() -> float:
        os.sync()  # nothing that was written before is in this figure
        return seconds_of(lambda: take_snapshot(source, bucket))

    first = snapshot()
    turns = [(seconds_of(lambda: list_plainly(source)), snapshot()) for _ in range(_TURNS)]
    listing, following = (statistics.median(each) for each in zip(*turns, strict=True))
    write_images(images, files // 10, first=files)
    tenth = snapshot()
    remove_images(images, files // 10, first=files)
    shutil.rmtree(root)
    return {"first": first, "next": following, "listing": listing, "tenth": tenth}
