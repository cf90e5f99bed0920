"""A candidate that sabotages the servers that load it, in a fleet with a first ring: users notice nothing."""

from pathlib import Path

import pytest

from pipeline.deployment import RolloutName
from pipeline.errors import DeclinedError, FailedError
from pipeline.journal.entries import Event
from tests.hunts import hunt, hunt_cases
from tests.releases import eventually
from tests.sabotage import sabotages
from tests.sabotage.sabotaged_fleet import PATIENCE, Times, sabotaged_fleet
from tests.sabotage.sabotages import Sabotage
from tests.sabotage.trial import Outcome, run_trial

# Promised: from the first end of a process until no server finds the candidate any more.
RETREAT_SECONDS = 10.0
RESTARTS = 2

pytestmark = pytest.mark.timeout(300)

QUICK: tuple[Sabotage, RolloutName] = (sabotages.KILLED_AT_LOAD, "pinned")
DEADLY = (
    sabotages.KILLED_AT_LOAD,
    sabotages.KILLED_AT_WARM_UP,
    sabotages.OUT_OF_MEMORY,
    sabotages.KILLED_AT_REQUEST_5,
    sabotages.KILLED_AT_REQUEST_20,
    sabotages.STOPS_AT_LOAD,
    sabotages.STOPS_AT_REQUEST_5,
    sabotages.STOPS_FOR_LONG,
)
SLOW = (sabotages.HANGS_AT_LOAD, sabotages.SLOW_LOAD)
ROLLOUTS: tuple[RolloutName, ...] = ("pinned", "latest")
CASES = [(sabotage, rollout) for sabotage in DEADLY for rollout in ROLLOUTS]


def named(case: tuple[Sabotage, RolloutName]) -> str:
    return f"{case[0].name}, {case[1]}"


@pytest.mark.parametrize("case", hunt_cases(CASES, in_make_test=[QUICK]), ids=named)
def test_one_replica_takes_the_risk(case: tuple[Sabotage, RolloutName], tmp_path: Path) -> None:
    """No request fails, the others never load the candidate, and it is taken back within the promised time."""
    sabotage, rollout = case
    times = Times(poll=0.1, soak=1.0) if case == QUICK else None
    outcome = run_trial(tmp_path, sabotage, rollout=rollout, ring=True, times=times)

    require_only_the_ring(outcome)
    assert outcome.died
    assert outcome.to_retreat < RETREAT_SECONDS
    assert 1 <= outcome.restarts[0] <= RESTARTS
    assert not outcome.holds[0], "the server of the first ring has loaded the candidate again"
    assert outcome.journal in ("declined", "withdrawn")


@hunt
@pytest.mark.parametrize("rollout", ROLLOUTS)
@pytest.mark.parametrize("sabotage", SLOW, ids=lambda sabotage: sabotage.name)
def test_a_load_without_an_end_stays_in_the_first_ring(
    sabotage: Sabotage, rollout: RolloutName, tmp_path: Path
) -> None:
    """The server goes on answering from the serving version, and the deadline ends the canary.

    In the latest roll-out a load that ends after that gets the traffic of its server for a moment: a server that
    should load again what it has in memory finishes the load that is under way before.
    """
    outcome = run_trial(tmp_path, sabotage, rollout=rollout, ring=True)

    require_only_the_ring(outcome)
    assert not outcome.died
    if rollout == "pinned":
        assert [0, 0, 0] == outcome.by_replica
    assert ("failed", "withdrawn") == (outcome.canary, outcome.journal)


@hunt
def test_users_of_the_latest_roll_out_get_no_more_of_the_candidate_than_the_share_of_the_ring(tmp_path: Path) -> None:
    outcome = run_trial(tmp_path, sabotages.KILLED_AT_REQUEST_60, rollout="latest", ring=True)
    share = outcome.beside / len(outcome.restarts)

    require_only_the_ring(outcome)
    assert outcome.by_replica[0], "it answered before it ended"
    # Requests go to all in turn; those under way at both ends of the time make a small difference.
    assert outcome.by_replica[0] <= share + 3 * share**0.5
    assert outcome.to_retreat < RETREAT_SECONDS


@hunt
@pytest.mark.parametrize("rollout", ROLLOUTS)
def test_the_first_ring_answers_while_the_replicas_beyond_it_end(rollout: RolloutName, tmp_path: Path) -> None:
    """The candidate has passed in the first ring. Both others end at about the same time.

    So a request may be lost whose one retry goes to the other one of these.
    """
    outcome = run_trial(tmp_path, sabotages.KILLED_BEYOND_THE_RING, rollout=rollout, ring=True)

    assert len(outcome.failures) <= 2
    assert 0 == outcome.restarts[0]
    assert outcome.to_retreat < RETREAT_SECONDS
    assert "withdrawn" == outcome.journal


@hunt
@pytest.mark.parametrize("rollout", ROLLOUTS)
def test_a_model_on_which_a_server_ends_again_is_withdrawn(rollout: RolloutName, tmp_path: Path) -> None:
    """The first end may be the fault of the machine, so the same model may be published again by another run."""
    times = Times(poll=0.1, soak=0.0)
    with sabotaged_fleet(tmp_path, rollout=rollout, ring=True, times=times, liveness_seconds=PATIENCE) as fleet:
        world = fleet.world
        world.graph = "one model"
        for run_key, error in (("retrain-2", DeclinedError), ("retrain-3", FailedError)):
            world.publish(run_key, **sabotages.KILLED_AT_LOAD.settings())
            with pytest.raises(error, match="its server process has stopped once"):
                world.run("canary", run_key)
            assert eventually(lambda: [1, 1, 1] == world.answering(), PATIENCE)
        restarts, history = fleet.restarts(), world.history()

    assert [2, 0, 0] == restarts
    assert [Event.DECLINED, Event.WITHDRAWN] == [
        entry.event for entry in history.all() if entry.event in (Event.DECLINED, Event.WITHDRAWN)
    ]


def require_only_the_ring(outcome: Outcome) -> None:
    """Nobody but the first ring has met the candidate, and no user has noticed."""
    assert [] == outcome.failures
    assert [0, 0] == outcome.restarts[1:], "another replica was restarted"
    # A server lists every version that it has seen since it started.
    assert [False, False] == outcome.has_seen[1:]
    assert [0, 0] == outcome.by_replica[1:]
