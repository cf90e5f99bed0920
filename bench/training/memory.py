"""A hundred times as many images: what that does to the peak memory of preparation and an epoch, in processes.

Run as a process, it does both for so many images: `python -m bench.training.memory CACHE COUNT`.
"""

import os
import statistics
import sys
from pathlib import Path

from bench.scale.measuring import answer, usage
from bench.serving.report import Row
from bench.training.images import Made
from bench.training.ours import PLENTY, batches_of, count_of
from pipeline.spec import Image
from pipeline.training.inputs.prepared import prepared

TIMES = 100
EDGE = 32


def measure(scratch: Path, *, images: int, rounds: int) -> list[Row]:
    """Of so many images, next to a hundredth of them."""
    turns = [
        [_peak(scratch / f"{number}-{count}", count) for count in (images, images // TIMES)] for number in range(rounds)
    ]
    many, few = (statistics.median(each) for each in zip(*turns, strict=True))
    return [
        Row(
            figure=f"{images:,} to {images // TIMES:,} images of {EDGE} x {EDGE}",
            what="peak memory of preparation and one epoch",
            value=statistics.median(more / less for more, less in turns),
            ours=f"{many:.4g} MB",
            baseline=f"{few:.4g} MB",
            goal=1.1,
        )
    ]


def _peak(cache: Path, count: int) -> float:
    """In 10^6 bytes."""
    return usage("bench.training.memory", cache, count).peak_mb


def _main(cache: str, count: str) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    made = Made(int(count), edge=EDGE)
    image = Image(height=EDGE, width=EDGE)
    with prepared(made.rows, made.fetch, image=image, folder=Path(cache), most_bytes=PLENTY) as images:
        answer(count_of(batches_of(images, epochs=1)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
