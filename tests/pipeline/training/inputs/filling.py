"""A program for the tests: store pixels in a cache, and be killed after a number of bytes.

Arguments: the folder, how many images, and after how many bytes that are written the process kills itself; 0: never.
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np

from pipeline.training.inputs import segment
from tests.pipeline.training.inputs.stored import digests_of, opened, pixels_of

IN_A_GROUP = 10


class Death:
    """Writes as the module does, up to a byte."""

    def __init__(self, after: int) -> None:
        self._left = after

    def write(self, file: int, content: bytes) -> None:
        os.write(file, content[: self._left])
        if len(content) >= self._left:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= len(content)


def main(folder: str, count: str, after: str) -> None:
    if int(after):
        segment._write_all = Death(int(after)).write
    digests = digests_of(int(count))
    with opened(Path(folder)) as cache:
        lacking = np.flatnonzero(cache.find(digests).segments < 0)
        for start in range(0, len(lacking), IN_A_GROUP):
            some = digests[lacking[start : start + IN_A_GROUP]]
            cache.add(some, pixels_of(some))


if __name__ == "__main__":
    main(*sys.argv[1:])
