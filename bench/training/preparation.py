"""What preparing images costs: all of them, a tenth of them new, none of them, and four times as many."""

import shutil
import statistics
import time
from pathlib import Path

from bench.serving.report import Row
from bench.training.images import Files
from bench.training.ours import PLENTY
from pipeline.runs.rows import Rows
from pipeline.spec import Image
from pipeline.training.inputs.prepared import prepared

TIMES = 4
IMAGE = Image(height=32, width=32)
_Turn = dict[str, float]


def measure(scratch: Path, *, files: int, rounds: int) -> list[Row]:
    images = Files(scratch / "images", files, edge=64)
    turns = [_turn(scratch, images) for _ in range(rounds + 1)][1:]  # the first one loads what a process loads once
    figure = f"preparation of {files:,} JPEG of 64 x 64"
    compared = (
        ("a tenth of them new : all of them new", "tenth", "all", 0.3),
        ("none of them new : all of them new", "none", "all", None),
        (f"all of them : a {TIMES}th of them", "all", "quarter", 1.05 * TIMES),
    )
    return [
        Row(
            figure=figure,
            what=what,
            value=statistics.median(each[ours] / each[theirs] for each in turns),
            ours=_seconds(turns, ours),
            baseline=_seconds(turns, theirs),
            goal=goal,
        )
        for what, ours, theirs, goal in compared
    ]


def _turn(scratch: Path, images: Files) -> _Turn:
    cache = scratch / "cache"
    count = len(images.rows)
    found: _Turn = {}
    for name, rows, before in (
        ("quarter", images.first(count // TIMES), None),
        ("all", images.rows, None),
        ("tenth", images.rows, images.first(count - count // 10)),
        ("none", images.rows, images.rows),
    ):
        if before is not None:
            _prepare(cache, images, before)
        found[name] = _prepare(cache, images, rows)
        shutil.rmtree(cache)
    return found


def _prepare(cache: Path, images: Files, rows: Rows) -> float:
    """The seconds of a preparation."""
    start = time.perf_counter()
    with prepared(rows, images.fetch, image=IMAGE, folder=cache, most_bytes=PLENTY):
        return time.perf_counter() - start


def _seconds(turns: list[_Turn], name: str) -> str:
    return f"{statistics.median(each[name] for each in turns):.3g} s"
