"""What becomes of a step whose pod, or whose way to the API of Kubernetes, has a fault; the table is in pod_faults.py.

Each fault is played where the task waits for its pod itself, and where it is deferred and a trigger looks at the pod.
"""

from datetime import datetime
from typing import Any

import pytest

from tests.dags.conftest import PLAIN, faked, in_cluster, run_and_log
from tests.dags.expected import said_last
from tests.dags.pod_faults import FAULTS
from tests.hunts import hunt
from tests.once import once

# The first test of each mode plays all faults, and Airflow takes its time on a busy machine.
pytestmark = [hunt, pytest.mark.timeout(600)]

# Seconds for which a task waits for its pod before it is deferred.
MODES = {"waits": "20", "is deferred": "-1"}


@pytest.fixture(scope="module", params=MODES)
def faults(request: Any, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    mode = request.param

    def play() -> Any:
        folder = tmp_path_factory.mktemp("faults")
        return run_and_log(
            "play_pod_faults.py", MODES[mode], environment=in_cluster(faked(environment, folder), folder)
        )

    found, log = once(tmp_path_factory, f"faults-{mode}", play)
    return found | {"log": log, "is deferred": mode == "is deferred"}


@pytest.mark.parametrize("name", FAULTS)
def test_a_run_with_a_fault_ends_as_it_should(faults: Any, name: str) -> None:
    case, result = FAULTS[name], faults["results"][name]

    assert (case.run, case.tries, case.pods) == (result["run"], result["tries"]["retain"], result["pods"])


@pytest.mark.parametrize("name", FAULTS)
def test_no_pod_is_left(faults: Any, name: str) -> None:
    """Only where Airflow may not delete pods."""
    assert FAULTS[name].left == len(faults["results"][name]["left"])


@pytest.mark.parametrize("name", FAULTS)
def test_the_last_lines_say_what_happened_and_what_to_do(faults: Any, name: str) -> None:
    case, lines = FAULTS[name], said_last(faults, name)

    if not case.says:
        assert [] == lines
        return
    happened, todo = lines[-2:]
    assert happened.startswith("What happened: `retain` ended without an answer (")
    for part in case.says:
        assert part in happened
    assert case.advises in todo
    assert not any("Traceback" in line or "\n" in line for line in lines)


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_met(faults: Any, name: str) -> None:
    assert all(faults["results"][name]["met"])


@pytest.mark.parametrize(
    "name", [name for name, case in FAULTS.items() if case.starts and not case.of_trigger and case.run == "success"]
)
def test_a_fault_comes_where_it_is_to_come(faults: Any, name: str) -> None:
    """While the task waits for its pod; or while it is deferred, if its verb takes that long."""
    deferrals = faults["results"][name]["deferrals"]

    if faults["is deferred"]:
        assert deferrals or not FAULTS[name].waits
    else:
        assert 0 == deferrals


def test_no_secret_is_logged(faults: Any) -> None:
    assert faults["log"]
    assert not any(faults["secret"] in line for line in faults["log"])


def test_the_manifest_of_a_pod_is_not_logged(faults: Any) -> None:
    """Not even where Kubernetes refuses it."""
    assert any("volumeMounts" in line for line in faults["log"]), "a manifest was refused"
    assert not any(PLAIN in line for line in faults["log"])


def test_the_log_of_a_running_pod_is_complete_in_its_order_and_read_while_it_runs(faults: Any) -> None:
    """A line may come twice. The first answer with lines is cut: the trigger goes on, and asks for them again."""
    seen = [(line.partition("Z")[0], line) for line in faults["log"] if "[retain]" in line and " live " in line]
    numbers = [int(line.partition(" live ")[2].split()[0]) for _, line in seen]
    first_seen = datetime.fromisoformat(f"{seen[0][0]}+00:00").timestamp()
    last_written = faults["written"][-1][0] / 1e9

    assert list(range(12)) == list(dict.fromkeys(numbers))
    assert first_seen < last_written
    assert ("success", 1) == (faults["results"]["live"]["run"], faults["results"]["live"]["deferrals"])
