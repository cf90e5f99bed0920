"""Runs whose steps are pods of a GKE cluster, for an Airflow outside it: they end as in the cluster of Airflow.

The operators and the trigger for GKE work on the double of Kubernetes; see play_gke.py for what is not Google's.
"""

from typing import Any

import pytest

from tests.dags.conftest import PLAYED_PODS, faked, in_cluster, run_script
from tests.hunts import hunt
from tests.once import once

# The first test plays all runs, and Airflow takes its time on a busy machine.
pytestmark = [hunt, pytest.mark.timeout(300)]

MODES = ("waits", "is deferred")
GKE = "gke: {project: my-project, location: europe-west4, cluster: main}\n"


@pytest.fixture(scope="module")
def played(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    def play() -> Any:
        folder = tmp_path_factory.mktemp("gke")
        with_pods = in_cluster(faked(environment, folder), folder)
        (folder / "pods.yaml").write_text(PLAYED_PODS + GKE, encoding="utf-8")
        return run_script("play_gke.py", environment=with_pods)

    return once(tmp_path_factory, "gke", play)


def test_the_operators_of_gke_are_played(played: Any) -> None:
    assert {"GkeVerbOperator", "GkeAnnounceOperator"} == set(played["operators"])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("case", "state", "tries"), [("good", "success", 1), ("killed", "success", 2), ("declines", "skipped", 1)]
)
def test_a_step_ends_as_its_verb_does(played: Any, mode: str, case: str, state: str, tries: int) -> None:
    found = played[mode][case]

    assert (state, tries) == (found["tasks"]["retain"], found["tries"]["retain"])


@pytest.mark.parametrize("mode", MODES)
def test_the_last_lines_of_a_killed_pod_say_what_happened(played: Any, mode: str) -> None:
    _, happened, todo = played[mode]["killed"]["said"]

    assert "it was killed by signal 9" in happened
    assert "up for retry" in todo


def test_a_pod_that_ends_soon_needs_no_trigger(played: Any) -> None:
    assert {0} == {each["deferrals"] for each in played["waits"].values()}


def test_a_trigger_looks_at_a_pod_that_takes_longer(played: Any) -> None:
    assert 0 < played["is deferred"]["good"]["deferrals"]


@pytest.mark.parametrize("mode", MODES)
def test_changes_are_announced(played: Any, mode: str) -> None:
    assert {"success"} == set(played[mode]["announce"]["tasks"].values())
    assert [1, 2] == [each["extra"]["entry"] for each in played["announced"] if "letters" in each["asset"]]


def test_no_pod_is_left(played: Any) -> None:
    assert [] == played["left"]
