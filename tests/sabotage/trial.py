"""One trial: a candidate that sabotages servers is released while users ask, and what users and replicas noticed."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.deployment import RolloutName
from pipeline.errors import CouldNotTellError, DeclinedError, UnderstudyError
from tests.releases import eventually
from tests.sabotage.sabotaged_fleet import (
    CANDIDATE,
    PATIENCE,
    SabotagedFleet,
    Times,
    sabotaged_fleet,
)
from tests.sabotage.sabotages import Sabotage
from tests.sabotage.traffic import Response, Traffic

_LOOK_SECONDS = 0.02
RUN = "retrain-2"


@dataclass(frozen=True)
class Outcome:
    """What has happened. Times are in seconds; all replicas are listed in the order of the fleet.

    Attributes:
        requests: of users.
        failures: why requests of users have failed.
        longest_gap: the longest time without any answer.
        slowest: how long the slowest answer took.
        outage: from the first death to the last failed request; 0 if none failed.
        restarts: of each replica.
        to_retreat: from the first death until no server finds the candidate any more; from the exposure if no process
            has ended or stopped.
        died: whether one has.
        canary: how the canary has ended: `passed`, `declined`, or the exit code of its error.
        journal: the event that took the candidate back; empty if there is none.
        has_seen: of each replica, whether its last process has ever seen the candidate.
        holds: of each replica, whether it has the candidate in memory in the end, or loads it.
        by_replica: how many answers users got from the candidate, of each replica.
        beside: how many answers users got from all versions, from the first to the last one of the candidate.
    """

    requests: int
    failures: list[str]
    longest_gap: float
    slowest: float
    outage: float
    restarts: list[int]
    to_retreat: float
    died: bool
    canary: str
    journal: str
    has_seen: list[bool]
    holds: list[bool]
    by_replica: list[int]
    beside: int


@dataclass
class Exposure:
    """From when until when servers found the candidate, by `time.monotonic()`."""

    began: float = 0.0
    ended: float = 0.0
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watched(self, fleet: SabotagedFleet) -> Iterator[None]:
        thread = threading.Thread(target=self._watch, args=[fleet], name="watch the exposure")
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _watch(self, fleet: SabotagedFleet) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            if not fleet.offers_candidate():
                continue
            self.began = self.began or time.monotonic()
            while fleet.offers_candidate() and not self._over.wait(_LOOK_SECONDS):
                pass
            self.ended = time.monotonic()


def run_trial(
    folder: Path, sabotage: Sabotage, *, rollout: RolloutName, ring: bool, times: Times | None = None
) -> Outcome:
    """Release the candidate as the retrain DAG does, and wait until the fleet answers from v1 again."""
    times = times or Times()
    liveness = sabotage.liveness_seconds
    with sabotaged_fleet(folder, rollout=rollout, ring=ring, times=times, liveness_seconds=liveness) as fleet:
        fleet.world.publish(RUN, **sabotage.settings())
        context = fleet.world.context("look-0")
        traffic, exposure = Traffic(context.replicas.fleet, context.rollout.placement.label), Exposure()
        with traffic, exposure.watched(fleet):
            canary = _canary(fleet)
            assert eventually(lambda: _is_over(fleet), PATIENCE), "the fleet does not answer from v1 again"
            time.sleep(2 * times.poll)
        return _outcome(fleet, traffic, exposure, canary)


def _canary(fleet: SabotagedFleet) -> str:
    """The canary, and what follows in the DAG when it fails."""
    try:
        fleet.world.run("canary", RUN)
    except DeclinedError:
        return "declined"
    except UnderstudyError as error:
        with suppress(CouldNotTellError):  # a server that hangs does not confirm it
            fleet.world.run("withdraw", RUN)
        return error.exit_code.name.lower()
    return "passed"


def _is_over(fleet: SabotagedFleet) -> bool:
    return not fleet.offers_candidate() and fleet.answers()


def _outcome(fleet: SabotagedFleet, traffic: Traffic, exposure: Exposure, canary: str) -> Outcome:
    died = fleet.first_death()
    last_failure = max((at for at, _ in traffic.failures), default=0.0)
    withdrawal = fleet.world.history().withdrawal(CANDIDATE)
    bad = [answer for answer in traffic.answers if answer.version == CANDIDATE]
    by_replica = Counter(answer.address for answer in bad)
    candidates = fleet.candidates()
    return Outcome(
        requests=traffic.requests,
        failures=[reason for _, reason in traffic.failures],
        longest_gap=traffic.longest_gap,
        slowest=traffic.slowest,
        outage=max(last_failure - died, 0.0) if died is not None else 0.0,
        restarts=fleet.restarts(),
        to_retreat=exposure.ended - (died if died is not None else exposure.began),
        died=died is not None,
        canary=canary,
        journal=withdrawal.event.value if withdrawal else "",
        has_seen=[candidate is not None for candidate in candidates],
        holds=[candidate is not None and not candidate.ended for candidate in candidates],
        by_replica=[by_replica[process.address] for process in fleet.processes],
        beside=_between(traffic.answers, bad),
    )


def _between(answers: list[Response], bad: list[Response]) -> int:
    return sum(bad[0].at <= answer.at <= bad[-1].at for answer in answers) if bad else 0
