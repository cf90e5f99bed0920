"""MLflow follows the journal; here a real server does, as `make up` starts it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipeline.mirror import Mlflow, Trained, aliases, decision_about, mirror, tag_run
from pipeline.release import decisions
from pipeline.release.journal import History
from tests.pipeline.test_journal import Releases
from tests.releases import NO_MLFLOW


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/artifacts"]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([*command, *stores], env=os.environ | quiet, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(address, server, folder / "log")
        yield address
    finally:
        server.terminate()
        server.wait(30)


def _wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while True:
        try:
            httpx.get(f"{address}/health", timeout=2).raise_for_status()
        except httpx.HTTPError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.3)
        else:
            return


def call(url: str, path: str, **values: Any) -> Any:
    reply = httpx.post(f"{url}/api/2.0/mlflow/{path}", json=values, timeout=10)
    reply.raise_for_status()
    return reply.json()


def trained(url: str, name: str) -> Trained:
    """A run with a logged model, as `train` leaves it."""
    experiment = call(url, "experiments/create", name=name)["experiment_id"]
    run = call(url, "runs/create", experiment_id=experiment)["run"]["info"]["run_id"]
    model = call(url, "logged-models", experiment_id=experiment, name="digits", source_run_id=run)
    return Trained(run, model["model"]["info"]["model_id"])


def unknown(version: int) -> None:
    """MLflow keeps nothing of any version."""


def tags(url: str, run: str) -> dict[str, str]:
    reply = httpx.get(f"{url}/api/2.0/mlflow/runs/get", params={"run_id": run}, timeout=10)
    return {tag["key"]: tag["value"] for tag in reply.json()["run"]["data"]["tags"]}


def follow(url: str, name: str, history: History, new: dict[int, Trained]) -> dict[str, int] | None:
    assert mirror(Mlflow(url), model=name, history=history, trained=new.get) is None
    return aliases(Mlflow(url), model=name)


def test_aliases_and_decisions_follow_a_release_and_a_roll_back(url: str, tmp_path: Path) -> None:
    releases, name = Releases(tmp_path), "story"
    first, second = trained(url, "first"), trained(url, "second")
    releases.release("retrain-1")
    assert {"production": 1} == follow(url, name, releases.history(), {1: first})

    version = releases.publish("retrain-2")
    exposed = releases.expose("retrain-2", version)
    assert {"production": 1, "candidate": 2} == follow(url, name, exposed, {2: second})

    assert {"production": 2, "previous": 1} == follow(url, name, releases.promote("retrain-2", version), {2: second})
    assert ("promoted", "2") == (tags(url, second.run)["decision"], tags(url, second.run)["served_version"])

    assert {"production": 1} == follow(url, name, releases.roll_back(1, "rollback-3"), {})
    assert ("promoted", "withdrawn") == (tags(url, first.run)["decision"], tags(url, second.run)["decision"])


def test_mirroring_again_registers_nothing_twice(url: str, tmp_path: Path) -> None:
    releases, name = Releases(tmp_path), "again"
    model = trained(url, "again")
    releases.release("retrain-1")
    for _ in range(3):
        follow(url, name, releases.history(), {1: model})
    reply = httpx.get(
        f"{url}/api/2.0/mlflow/model-versions/search", params={"filter": f"name='{name}'"}, timeout=10
    ).json()

    assert 1 == len(reply["model_versions"])


def test_a_release_made_while_mlflow_was_down_is_registered_by_the_next_verb(url: str, tmp_path: Path) -> None:
    """F7: whichever verb that is, also a roll-back of another run."""
    releases, name = Releases(tmp_path), "late"
    models = {version: trained(url, f"late_{version}") for version in (1, 2)}
    releases.release("retrain-1")
    releases.release("retrain-2")

    assert {"production": 1} == follow(url, name, releases.roll_back(1, "rollback-3"), models)
    assert "withdrawn" == tags(url, models[2].run)["decision"]


def test_an_answer_of_another_kind_changes_nothing(url: str, tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    releases.release("retrain-1")

    for strange in (f"{url}/static-files", "http://[::1", "nonsense"):
        assert mirror(Mlflow(strange), model="m", history=releases.history(), trained=unknown) is not None


def test_an_alias_moved_by_hand_is_put_back(url: str, tmp_path: Path) -> None:
    """F41: serving never asked it, and the next release verb mends it."""
    releases, name = Releases(tmp_path), "by_hand"
    models = {version: trained(url, f"by_hand_{version}") for version in (1, 2)}
    releases.release("retrain-1")
    releases.release("retrain-2")
    follow(url, name, releases.history(), models)
    call(url, "registered-models/alias", name=name, alias="production", version="1")
    assert {"production": 1, "previous": 1} == aliases(Mlflow(url), model=name)

    assert {"production": 2, "previous": 1} == follow(url, name, releases.history(), {})


def test_a_run_that_published_nothing_is_told_its_fate(url: str) -> None:
    run = trained(url, "refused").run
    tag_run(Mlflow(url), run=run, decision="declined by the gate")

    assert "declined by the gate" == tags(url, run)["decision"]


def test_mlflow_being_down_is_told_and_raises_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """F7, F40."""
    releases = Releases(tmp_path)
    releases.release("retrain-1")

    assert "ConnectError" in (mirror(Mlflow(NO_MLFLOW), model="m", history=releases.history(), trained=unknown) or "")
    assert aliases(Mlflow(NO_MLFLOW), model="m") is None
    tag_run(Mlflow(NO_MLFLOW), run="r", decision="declined by the gate")
    assert "MLflow does not know of the decision" in caplog.text


def test_decisions_in_one_word(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    releases.release("retrain-1")
    releases.publish("retrain-2")
    releases.publish("retrain-3")
    history = releases.journal().decide(lambda h: decisions.stand_down(h, version=3, run_key="retrain-3", reason="bad"))

    assert ["promoted", "published", "withdrawn"] == [decision_about(history, version) for version in (1, 2, 3)]
