"""How long users wait for the good model: a roll-back to a version in memory against one that must be loaded first.

    python -m bench.rollback

Two model servers in this process, polling their config every 0.1 s and taking 1 s to load a version. Each round rolls
back once to each kind of target. The floor of the first kind is one poll; its ratio to the second is what keeping the
previous version in memory buys.
"""

import statistics
import tempfile
import time
from pathlib import Path

from tests.fleet import POLL_SECONDS
from tests.releases import World

ROUNDS = 5
LOAD_SECONDS = 1.0


def timed(world: World, to: str, run_key: str) -> float:
    start = time.perf_counter()
    world.roll_back(to, run_key=run_key)
    return time.perf_counter() - start


def main() -> None:
    resident, loaded = [], []
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), follow_seconds=30.0)
        world.start()
        try:
            away = world.release("retrain-0", load_seconds=LOAD_SECONDS)
            for number in range(1, ROUNDS + 1):
                world.release(f"retrain-{number}1", load_seconds=LOAD_SECONDS)
                world.release(f"retrain-{number}2", load_seconds=LOAD_SECONDS)
                resident.append(timed(world, "previous", f"rollback-{number}1"))
                world.release(f"retrain-{number}3", load_seconds=LOAD_SECONDS)
                loaded.append(timed(world, str(away), f"rollback-{number}2"))
        finally:
            world.stop()
    near, far = statistics.median(resident), statistics.median(loaded)
    print(f"in memory {near:.2f} s, loaded first {far:.2f} s: ratio {near / far:.2f}")  # noqa: T201
    print(f"in memory against one poll of {POLL_SECONDS} s: ratio {near / POLL_SECONDS:.1f}")  # noqa: T201


if __name__ == "__main__":
    main()
