"""A candidate that sabotages the servers that load it, in a fleet without a first ring: all of them load it at once."""

from pathlib import Path

import pytest

from pipeline.deployment import RolloutName
from tests.hunts import hunt
from tests.sabotage import sabotages
from tests.sabotage.sabotages import Sabotage
from tests.sabotage.test_first_ring import RETREAT_SECONDS, ROLLOUTS
from tests.sabotage.trial import run_trial

pytestmark = [hunt, pytest.mark.timeout(300)]

DEADLY = (
    sabotages.KILLED_AT_LOAD,
    sabotages.KILLED_AT_WARM_UP,
    sabotages.OUT_OF_MEMORY,
    sabotages.KILLED_AT_REQUEST_5,
    sabotages.STOPS_AT_LOAD,
)


@pytest.mark.parametrize("rollout", ROLLOUTS)
@pytest.mark.parametrize("sabotage", DEADLY, ids=lambda sabotage: sabotage.name)
def test_answers_are_back_within_the_promised_time(sabotage: Sabotage, rollout: RolloutName, tmp_path: Path) -> None:
    """...of the first end of a process, and no server loads the candidate again."""
    outcome = run_trial(tmp_path, sabotage, rollout=rollout, ring=False)

    assert outcome.died
    assert outcome.outage < RETREAT_SECONDS
    assert outcome.longest_gap < RETREAT_SECONDS
    assert outcome.to_retreat < RETREAT_SECONDS
    assert not any(outcome.holds)
    assert outcome.journal in ("declined", "withdrawn")


@pytest.mark.parametrize("rollout", ROLLOUTS)
@pytest.mark.parametrize("sabotage", [sabotages.HANGS_AT_LOAD, sabotages.SLOW_LOAD], ids=lambda sabotage: sabotage.name)
def test_a_load_without_an_end_costs_no_request(sabotage: Sabotage, rollout: RolloutName, tmp_path: Path) -> None:
    outcome = run_trial(tmp_path, sabotage, rollout=rollout, ring=False)

    assert [] == outcome.failures
    assert not outcome.died
    assert ("failed", "withdrawn") == (outcome.canary, outcome.journal)
