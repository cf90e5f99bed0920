"""What the end of a canary costs, while many replicas have not been asked yet."""

import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from pipeline.clock import SystemClock
from pipeline.rollout.canary_end import CanaryEnd
from pipeline.rollout.config_placement import ConfigPlacement
from pipeline.rollout.crash_detector import CrashDetector
from pipeline.rollout.other_models import OtherModels
from pipeline.rollout.questioning import Probes, Questioning
from pipeline.rollout.replicas import Replicas
from pipeline.rollout.workers import Threads
from pipeline.spec import CanaryPolicy
from pipeline.verdicts.labels import ApprovedLabels
from serving.fleet.fleet import Group, GroupedFleet
from tests.fleet import LABELS

MODEL = "digits"
# Nothing listens there: who asks one of them gets no answer.
ADDRESSES = tuple(f"127.0.0.1:{port}" for port in range(1, 51))


class CountedSource:
    """A list that may change. It counts how often it was asked for."""

    uri = "counted://replicas"
    size = None

    def __init__(self, addresses: Sequence[str]) -> None:
        self.members = tuple(addresses)
        self.asked = 0
        self._counting = threading.Lock()

    def addresses(self) -> Sequence[str]:
        with self._counting:
            self.asked += 1
        return self.members

    def too_few(self, found: int) -> str:
        return f"{found} are too few"


@pytest.fixture
def source() -> CountedSource:
    return CountedSource(ADDRESSES)


@pytest.fixture
def replicas(source: CountedSource, tmp_path: Path) -> Replicas:
    """Those of the source, in a fleet whose clock stands still: after the first look, only a fresh list asks again."""
    return Replicas(
        model=MODEL,
        placement=ConfigPlacement(MODEL, "/bucket/versions"),
        fleet=GroupedFleet((Group("main", source, 1),), now=lambda: 0.0),
        others=OtherModels(MODEL, folder=tmp_path, bucket=None),
        bucket="/bucket",
        rpc_seconds=1.0,
        silent_seconds=5.0,
        clock=SystemClock(),
        make_workers=partial(Threads, 16),
    )


@pytest.fixture
def crashes() -> CrashDetector:
    """Two servers have ended."""
    detector = CrashDetector(dict.fromkeys(ADDRESSES, ()), silent_seconds=5.0, now=lambda: 0.0)
    for address in ADDRESSES[:2]:
        detector.lost(address)
    return detector


def test_one_fresh_list_is_enough_for_all_replicas_that_are_not_asked_any_more(
    source: CountedSource, replicas: Replicas, crashes: CrashDetector
) -> None:
    """Users may meet the candidate meanwhile, and a list of a thousand pods has 8 MB."""
    labels = ApprovedLabels(3, LABELS, 2, LABELS)
    probes = Probes(golden=(), fresh=(), labels=labels, policy=CanaryPolicy(), min_accuracy=0.5)
    reports = Questioning(MODEL, probes, replicas).ask(ADDRESSES, version=3, crashes=crashes)

    assert {"was not asked, because the canary had ended"} == {report.problem for report in reports}
    assert len(ADDRESSES) == len(reports)
    assert 2 == source.asked, "the list that was known, and the fresh one"


def test_a_canary_whose_ended_servers_were_removed_goes_on(
    source: CountedSource, replicas: Replicas, crashes: CrashDetector
) -> None:
    """Only a fresh list says so; it is the known one from then on, and costs nothing more."""
    end = CanaryEnd(replicas, crashes)
    replicas.known_addresses()
    source.members = ADDRESSES[2:]
    has_come = [end.has_come() for _ in ADDRESSES]

    assert not any(has_come)
    assert 2 == source.asked
    for address in ADDRESSES[2:4]:
        crashes.lost(address)
    assert end.has_come()


def test_an_end_that_was_confirmed_is_final(source: CountedSource, replicas: Replicas, crashes: CrashDetector) -> None:
    end = CanaryEnd(replicas, crashes)
    assert end.has_come()
    source.members = ADDRESSES[2:]
    replicas.known_addresses(fresh=True)

    assert end.has_come()
