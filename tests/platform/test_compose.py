"""Every service of docker-compose.yaml, started by its own command with its own variables, and used as people use it.

There is no container around them: `tests.platform.rewriting` says what differs. Grafana is not executed, and neither is
the entry point of Apache Airflow's image. The servers are the embedded ones, behind the entry point of their image.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.platform.compose_file import ALL_ADDRESSES, Checkout, started
from tests.platform.platform_processes import NOT_EXECUTED, Platform
from tests.platform.using import NOTE, REQUESTS, SERVERS, SOAK_SECONDS, look_again, use

pytestmark = [pytest.mark.platform, pytest.mark.timeout(900)]

RELEASE = ("exposed", "exposed everywhere", "promoted")
# Without most of Airflow: enough to see what has survived.
AGAIN = ("postgres", "airflow-init", "mlflow", *SERVERS)


@pytest.fixture(scope="module")
def seen(folder: Path, checkout: Checkout) -> Iterator[Any]:
    """What the platform showed while it ran, and after it was stopped and started again."""
    platform = Platform(checkout.resolved(COMPOSE_PROFILES=ALL_ADDRESSES), folder)
    names = [name for name in started(checkout.resolved()) if name not in NOT_EXECUTED]
    try:
        platform.up(names)
        first = {"started": names, "platform": platform, **use(platform, checkout.values())}
        platform.down()
        platform.up(AGAIN)
        yield first | look_again(platform, checkout.values())
        platform.down()
    finally:
        platform.kill()


def test_everything_that_up_starts_is_healthy_but_grafana_which_is_not_executed(seen: Any, checkout: Checkout) -> None:
    assert {*seen["started"], "grafana"} == set(started(checkout.resolved()))
    assert len(seen["started"]) == 12


def test_the_password_of_env_opens_airflow_and_no_other_does(seen: Any) -> None:
    """The run was triggered with that of the user admin."""
    assert "success" == seen["run_state"]
    assert "401" in seen["wrong_password"]


def test_the_users_of_the_database_see_their_own_database_only(seen: Any) -> None:
    assert 'permission denied for database "mlflow"' in seen["other_database"]


def test_the_note_of_the_run_says_what_was_decided(seen: Any) -> None:
    assert NOTE in seen["run_note"]
    assert "v1 serves" in seen["run_note"]


def test_every_server_serves_the_version(seen: Any) -> None:
    found = seen["status"]

    assert [1, 1, 1] == [replica["serving"] for replica in found["replicas"]]
    assert found["agrees"], found["differences"]
    assert {"production": 1} == found["mlflow"]


def test_the_gateway_answers_who_has_the_key_of_env(seen: Any) -> None:
    addresses = {f"127.0.0.1:{seen['platform'].port(server, 8500)}" for server in SERVERS}
    answer = seen["gateway"]["answer"]

    assert 401 == seen["gateway"]["without_key"]
    assert (1, True) == (answer["version"], answer["replica"] in addresses)
    assert 2 == len(answer["predictions"][0]["labels"])


def test_the_first_server_took_the_risk(seen: Any) -> None:
    events = [entry["event"] for entry in reversed(seen["history"]["entries"])]
    (ring,) = [replica["address"] for replica in seen["status"]["replicas"] if replica["first_ring"]]

    assert f"127.0.0.1:{seen['platform'].port('serving-1', 8500)}" == ring
    assert ["exposed", "exposed everywhere", "promoted"] == [event for event in events if event in RELEASE]


def test_mlflow_has_the_run_and_its_files_through_the_proxy(seen: Any) -> None:
    run = seen["mlflow_run"]

    assert "FINISHED" == run["status"]
    assert "promoted" == run["tags"]["decision"]
    assert run["artifact_uri"].startswith("mlflow-artifacts:/")
    tables, pictures = ["classes.csv", "confusions.csv"], ["confusion.png", "learning_curves.png", "mistakes.png"]
    assert sorted([*tables, *pictures, "data"]) == seen["artifacts"]
    stored = (seen["platform"].volume("mlflow") / "artifacts").rglob("confusion.png")
    assert 1 == len([*stored])


def test_mlflow_answers_to_its_own_names_only(seen: Any) -> None:
    assert {"mlflow:5000": 200, "localhost:5000": 200, "evil.example:5000": 403} == seen["hosts"]


def test_links_open_in_a_browser_of_the_host(seen: Any) -> None:
    """It knows `localhost` and the published ports, and not the names of the containers."""
    platform = seen["platform"]
    mlflow, airflow = platform.port("mlflow", 5000), platform.port("airflow-api-server", 8080)

    for task in ("train", "evaluate"):
        assert f"This run in MLflow: http://localhost:{mlflow}/#/experiments/" in seen["logs"][task]
    assert f"http://localhost:{airflow}/dags/retrain_digits/runs/" in seen["mlflow_run"]["tags"]["mlflow.note.content"]
    assert {200} == set(seen["pages"].values())
    assert 2 == len(seen["pages"])


def test_prometheus_reads_all_servers_and_counts_requests(seen: Any) -> None:
    assert dict.fromkeys(SERVERS, "up") == {name: seen["targets"][name] for name in SERVERS}
    assert {"up"} == set(seen["targets"].values())
    assert "up" == seen["targets"]["gateway"]
    assert dict.fromkeys(SERVERS, REQUESTS) == seen["requests"]


def test_volumes_survive(seen: Any) -> None:
    """After all processes were stopped and started again."""
    assert dict.fromkeys(SERVERS, "1") == seen["again"]
    assert (1, 1) == seen["runs_again"]


def test_what_people_have_changed_survives_the_next_up(seen: Any) -> None:
    assert SOAK_SECONDS == seen["fleet_again"]["fleet"]["soak_seconds"]
    assert 2 == seen["fleet_again"]["record"]
    assert 1 == seen["slots_again"]
