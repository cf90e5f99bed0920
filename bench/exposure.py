"""For how long users get answers from a bad version: the latest roll-out against the pinned one.

    python -m bench.exposure [--rounds 7] [--load 1.0]

Two fleets of three model servers in this process, one for each roll-out, which poll every 0.1 s and take `--load`
seconds to load a version; and a client that asks them about two hundred times a second. In each round both roll-outs
take turns at two accidents:

- refused: a version that answers wrongly is published, and its canary finds that out;
- rolled back: a version that has been promoted turns out to be bad, and somebody calls `rollback` at once.

The floor is what the servers themselves need and no verb can avoid: one poll, and in the latest roll-out the load of
the version that takes the bad one's place. A share is of the answers from the call of the first verb to the end of the
last.
"""

import argparse
import logging
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from embedded.demo import allowed_answers
from embedded.demo.traffic import RecordedAnswer, Traffic, directly
from pipeline.deployment import RolloutName
from pipeline.errors import FailedError
from tests.fleet import POLL_SECONDS
from tests.releases import IMAGES, MODEL, World

ROLLOUTS: tuple[RolloutName, ...] = ("pinned", "latest")
REPLICAS = 3
ASKED_PER_SECOND = 200.0


@dataclass(frozen=True)
class Exposure:
    """What users got of one bad version: for how many seconds, and how many answers of all."""

    seconds: float
    bad: int
    sent: int
    failed: int


def exposure(bad: Sequence[RecordedAnswer], traffic: Traffic, *, seconds: float) -> Exposure:
    return Exposure(seconds=seconds, bad=len(bad), sent=traffic.sent, failed=len(traffic.failures))


class Contestant:
    """The fleet of one roll-out."""

    def __init__(self, rollout: RolloutName, folder: Path, *, load_seconds: float) -> None:
        self.rollout = rollout
        self._world = World(folder, rollout=rollout, follow_seconds=30.0)
        self._load_seconds = load_seconds

    def start(self) -> None:
        self._world.start(REPLICAS)
        self._world.release("retrain-0", load_seconds=self._load_seconds)

    def stop(self) -> None:
        self._world.stop()

    def refused(self, number: int) -> Exposure:
        """A bad candidate, from its publication until it is withdrawn: from its first answer to its last."""
        run_key = f"retrain-{number}1"
        with self._traffic() as traffic:
            self._world.publish(run_key, shift=1, load_seconds=self._load_seconds)
            try:
                self._world.run("canary", run_key)
            except FailedError:
                self._world.run("withdraw", run_key)
            else:
                raise SystemExit("the canary let a bad version pass")
        bad = traffic.answers_of(self._version(run_key))
        return exposure(bad, traffic, seconds=allowed_answers.duration_seconds(bad))

    def rolled_back(self, number: int) -> Exposure:
        """A version that serves, until the roll-back from it is done: from the call to its last answer."""
        run_key = f"retrain-{number}2"
        bad_version = self._world.release(run_key, load_seconds=self._load_seconds)
        with self._traffic() as traffic:
            called = datetime.now(UTC)
            self._world.roll_back("previous", run_key=f"rollback-{number}")
        bad = traffic.answers_of(bad_version)
        return exposure(bad, traffic, seconds=allowed_answers.seconds_after(called, bad))

    def floor(self) -> float:
        """The seconds for which a version that has answered goes on, whatever is done."""
        return POLL_SECONDS + (self._load_seconds if self.rollout == "latest" else 0.0)

    def _traffic(self) -> Traffic:
        context = self._world.context("look-0")
        way = directly(context.replicas.fleet, MODEL, label=context.rollout.placement.label)
        return Traffic(way, IMAGES, rate=ASKED_PER_SECOND)

    def _version(self, run_key: str) -> int:
        version = self._world.history().version_of(run_key)
        assert version is not None
        return version


def take_turns(contestants: Sequence[Contestant], rounds: int) -> dict[tuple[str, str], list[Exposure]]:
    """What was measured, by accident and roll-out."""
    found: dict[tuple[str, str], list[Exposure]] = {}
    accidents: dict[str, Callable[[Contestant, int], Exposure]] = {
        "refused": Contestant.refused,
        "rolled back": Contestant.rolled_back,
    }
    for number in range(1, rounds + 1):
        contestants = [*contestants[1:], contestants[0]]
        for accident, happen in accidents.items():
            for contestant in contestants:
                found.setdefault((accident, contestant.rollout), []).append(happen(contestant, number))
    return found


def report(found: dict[tuple[str, str], list[Exposure]], floors: dict[str, float]) -> None:
    medians = {key: statistics.median(each.seconds for each in exposures) for key, exposures in found.items()}
    for (accident, rollout), exposures in sorted(found.items()):
        bad, sent = sum(each.bad for each in exposures), sum(each.sent for each in exposures)
        seconds, floor = medians[accident, rollout], floors[rollout]
        against = f"   this / floor of {floor:.1f} s {seconds / floor:.2f}" if bad else ""
        print(  # noqa: T201
            f"{accident:11} {rollout:6} {seconds:5.2f} s, at most {max(each.seconds for each in exposures):.2f} s: "
            f"{bad:5} of {sent:5} answers {bad / sent:4.0%}, {sum(each.failed for each in exposures)} failed{against}"
        )
    for accident in sorted({accident for accident, _ in found}):
        pinned, latest = (medians[accident, rollout] for rollout in ROLLOUTS)
        print(f"{accident:11} pinned / latest {pinned / latest:.2f}")  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.exposure")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--load", type=float, default=1.0, help="seconds a replica takes to load a version")
    options = parser.parse_args()
    # MLflow is not there; no need to say it every time.
    logging.getLogger("pipeline.tracking.mirror").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        contestants = [Contestant(each, Path(folder) / each, load_seconds=options.load) for each in ROLLOUTS]
        try:
            for contestant in contestants:
                contestant.start()
            found = take_turns(contestants, options.rounds)
        finally:
            for contestant in contestants:
                contestant.stop()
    report(found, {each.rollout: each.floor() for each in contestants})


if __name__ == "__main__":
    main()
