"""A program for the tests: prepare images, and be killed after some of them were fetched.

Arguments: the folder, how many images, and at which fetched image the process kills itself; 0: never. Prints how many
were fetched.
"""

import os
import signal
import sys
from pathlib import Path

from pipeline.training.inputs.fetching import Positions
from pipeline.training.inputs.prepared import prepared
from tests.pipeline.training.inputs.stored import IMAGE, PLENTY, Stored


def main(folder: str, count: str, dies_at: str) -> None:
    stored = Stored(int(count))

    def fetch(positions: Positions) -> list[bytes]:
        contents = stored.fetch(positions)
        if 0 < int(dies_at) <= len(stored.fetched):
            os.kill(os.getpid(), signal.SIGKILL)
        return contents

    with prepared(stored.rows(), fetch, image=IMAGE, folder=Path(folder), most_bytes=PLENTY):
        print(len(stored.fetched))  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main(*sys.argv[1:])
