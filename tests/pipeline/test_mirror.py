"""MLflow follows the journal: a real server, as `make up` starts it, and the one in memory that other tests use."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipeline import layout
from pipeline.context import Context, make_context, open_ports
from pipeline.identity import Identity, find_identity
from pipeline.mirror import Owner, decision_about, look_at, mirror, tag_run
from pipeline.registry import Mlflow, Trained
from pipeline.release import decisions
from pipeline.release.journal import History
from pipeline.verbs.reconcile import Mending, reconcile
from tests.mlflow_registry import MlflowRegistry
from tests.pipeline.test_journal import Releases
from tests.ports import free_port
from tests.releases import MODEL, NO_MLFLOW, World


@dataclass(frozen=True)
class Server:
    """An MLflow, and what a person would do to it."""

    mlflow: Mlflow

    def call(self, path: str, **values: Any) -> Any:
        return self._answer("POST", path, json=values)

    def get(self, path: str, **values: Any) -> Any:
        return self._answer("GET", path, params=values)

    def _answer(self, method: str, path: str, **content: Any) -> Any:
        with httpx.Client(transport=self.mlflow.transport, timeout=10) as client:
            reply = client.request(method, f"{self.mlflow.url}/api/2.0/mlflow/{path}", **content)
        reply.raise_for_status()
        return reply.json()

    def trained(self, name: str) -> Trained:
        """A run with a logged model, as `train` leaves it."""
        experiment = self.call("experiments/create", name=name)["experiment_id"]
        run = self.call("runs/create", experiment_id=experiment)["run"]["info"]["run_id"]
        model = self.call("logged-models", experiment_id=experiment, name="digits", source_run_id=run)
        return Trained(run, model["model"]["info"]["model_id"])

    def tags(self, run: str) -> dict[str, str]:
        found = self.get("runs/get", run_id=run)["run"]["data"]["tags"]
        return {tag["key"]: tag["value"] for tag in found}


@pytest.fixture(params=["mlflow server", "in memory"])
def server(request: pytest.FixtureRequest) -> Server:
    if request.param == "in memory":
        return Server(Mlflow("http://mlflow", MlflowRegistry().transport))
    return Server(Mlflow(request.getfixturevalue("url")))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mlflow")
    port = free_port()
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


BUCKET = Identity("0123456789abcdef", "/data/bucket")


def unknown() -> Owner:
    """A bucket that has no record of any version."""
    nothing: dict[int, Trained] = {}
    return Owner(BUCKET, nothing.get)


def aliases(mlflow: Mlflow, *, model: str) -> Mapping[str, int] | None:
    found = look_at(mlflow, model=model, owner=unknown())
    return found.aliases if found else None


def follow(
    server: Server, name: str, history: History, new: dict[int, Trained], bucket: Identity = BUCKET
) -> Mapping[str, int] | None:
    owner = Owner(bucket, new.get)
    assert mirror(server.mlflow, model=name, history=history, owner=lambda: owner) is None
    found = look_at(server.mlflow, model=name, owner=owner)
    return found.aliases if found else None


def test_aliases_and_decisions_follow_a_release_and_a_roll_back(server: Server, tmp_path: Path) -> None:
    releases, name = Releases(tmp_path), "story"
    first, second = server.trained("first"), server.trained("second")
    releases.release("retrain-1")
    assert {"production": 1} == follow(server, name, releases.history(), {1: first})

    version = releases.publish("retrain-2")
    exposed = releases.expose("retrain-2", version)
    assert {"production": 1, "candidate": 2} == follow(server, name, exposed, {2: second})

    assert {"production": 2, "previous": 1} == follow(server, name, releases.promote("retrain-2", version), {2: second})
    assert ("promoted", "2") == (server.tags(second.run)["decision"], server.tags(second.run)["served_version"])

    assert {"production": 1} == follow(server, name, releases.roll_back(1, "rollback-3"), {})
    assert ("promoted", "withdrawn") == (server.tags(first.run)["decision"], server.tags(second.run)["decision"])


def test_mirroring_again_registers_nothing_twice(server: Server, tmp_path: Path) -> None:
    releases, name = Releases(tmp_path), "again"
    model = server.trained("again")
    releases.release("retrain-1")
    for _ in range(3):
        follow(server, name, releases.history(), {1: model})

    assert 1 == len(server.get("model-versions/search", filter=f"name='{name}'")["model_versions"])


def test_two_concurrent_registrations_agree_on_the_first(server: Server, tmp_path: Path) -> None:
    """I6: MLflow refuses no second one; the aliases are the same for all, whoever looks and whenever."""
    releases, name = Releases(tmp_path), "twice"
    model = server.trained("twice")
    releases.release("retrain-1")

    def while_another_does(version: int) -> Trained | None:
        follow(server, name, releases.history(), {version: model})
        return model

    owner = Owner(BUCKET, while_another_does)
    assert mirror(server.mlflow, model=name, history=releases.history(), owner=lambda: owner) is None

    assert 2 == len(server.get("model-versions/search", filter=f"name='{name}'")["model_versions"])
    (alias,) = server.get("registered-models/get", name=name)["registered_model"]["aliases"]
    assert ("production", "1") == (alias["alias"], alias["version"])
    assert {"production": 1} == aliases(server.mlflow, model=name)


def test_a_release_made_while_mlflow_was_down_is_registered_by_the_next_verb(server: Server, tmp_path: Path) -> None:
    """F7: whichever verb that is, also a roll-back of another run."""
    releases, name = Releases(tmp_path), "late"
    models = {version: server.trained(f"late_{version}") for version in (1, 2)}
    releases.release("retrain-1")
    releases.release("retrain-2")

    assert {"production": 1} == follow(server, name, releases.roll_back(1, "rollback-3"), models)
    assert "withdrawn" == server.tags(models[2].run)["decision"]


def test_an_answer_of_another_kind_changes_nothing(url: str, tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    releases.release("retrain-1")

    for strange in (f"{url}/static-files", "http://[::1", "nonsense"):
        assert mirror(Mlflow(strange), model="m", history=releases.history(), owner=unknown) is not None


def test_an_alias_moved_by_hand_is_put_back(server: Server, tmp_path: Path) -> None:
    """F41: serving never asked it, and the next release verb mends it."""
    releases, name = Releases(tmp_path), "by_hand"
    models = {version: server.trained(f"by_hand_{version}") for version in (1, 2)}
    releases.release("retrain-1")
    releases.release("retrain-2")
    follow(server, name, releases.history(), models)
    server.call("registered-models/alias", name=name, alias="production", version="1")
    assert {"production": 1, "previous": 1} == aliases(server.mlflow, model=name)

    assert {"production": 2, "previous": 1} == follow(server, name, releases.history(), {})


def test_a_run_that_published_nothing_is_told_its_fate(server: Server) -> None:
    run = server.trained("refused").run
    tag_run(server.mlflow, run=run, decision="declined by the gate", bucket=lambda: BUCKET)

    assert "declined by the gate" == server.tags(run)["decision"]


def test_mlflow_being_down_is_told_and_raises_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """F7, F40."""
    releases = Releases(tmp_path)
    releases.release("retrain-1")

    assert "ConnectError" in (mirror(Mlflow(NO_MLFLOW), model="m", history=releases.history(), owner=unknown) or "")
    assert aliases(Mlflow(NO_MLFLOW), model="m") is None
    tag_run(Mlflow(NO_MLFLOW), run="r", decision="declined by the gate", bucket=lambda: BUCKET)
    assert "MLflow does not know of the decision" in caplog.text


def test_decisions_in_one_word(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    releases.release("retrain-1")
    releases.publish("retrain-2")
    releases.publish("retrain-3")
    history = releases.journal().decide(lambda h: decisions.stand_down(h, version=3, run_key="retrain-3", reason="bad"))

    assert ["promoted", "published", "withdrawn"] == [decision_about(history, version) for version in (1, 2, 3)]


def release_unseen(world: World, server: Server, run_key: str) -> None:
    """A release from a run that MLflow knows, while MLflow is down."""
    world.approve(run_key)
    kept = server.trained(f"unseen_{run_key}")
    record = world.bucket / layout.record(MODEL, run_key, "train")
    record.write_text(json.dumps(json.loads(record.read_text()) | {"mlflow_run": kept.run, "mlflow_model": kept.model}))
    for verb in ("publish", "canary", "promote"):
        world.run(verb, run_key)


def connected(world: World, server: Server, run_key: str) -> Context:
    """A context that reaches MLflow."""
    settings = world.context(run_key).settings
    ports = replace(open_ports(settings), mlflow=server.mlflow)
    return make_context(settings, model=MODEL, run_key=run_key, ports=ports)


def reconciled(world: World, server: Server, run_key: str) -> Mending:
    found = reconcile(connected(world, server, run_key))
    found.require_complete()
    return found


def seen(world: World, server: Server) -> Mapping[str, int]:
    context = connected(world, server, "look-0")
    owner = context.owner(find_identity(context.bucket), context.journal.read())
    found = look_at(server.mlflow, model=MODEL, owner=owner)
    assert found is not None
    return found.aliases


def test_reconcile_makes_releases_appear_that_were_made_while_mlflow_was_down(server: Server, world: World) -> None:
    """F7: and an alias that was moved by hand goes back (F41); then there is nothing to mend."""
    release_unseen(world, server, "retrain-1")
    release_unseen(world, server, "retrain-2")
    assert {} == seen(world, server)
    reconciled(world, server, "reconcile-3")
    assert {"production": 2, "previous": 1} == seen(world, server)

    server.call("registered-models/alias", name=MODEL, alias="production", version="1")
    assert {"production": 1, "previous": 1} == seen(world, server)
    (line,) = reconciled(world, server, "reconcile-4").mended
    assert line.startswith("MLflow's aliases say ")
    assert {"production": 2, "previous": 1} == seen(world, server)
    assert Mending() == reconciled(world, server, "reconcile-5")
