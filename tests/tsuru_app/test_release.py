"""Releases reach the units of a Tsuru app: two processes, found through a server that speaks the Tsuru API."""

import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import yaml

from pipeline import layout
from serving.client import Client
from serving.fleet.fleet import parse_fleet
from serving.grpc_replica import GrpcReplica
from serving.replica import STABLE
from serving.signature import inputs_of, labels_of
from tests.command import installed
from tests.hunts import hunt
from tests.ports import free_port
from tests.releases import MODEL, NO_MLFLOW, World, eventually
from tests.tsuru_api import TOKEN, TsuruApi, unit
from tests.tsuru_app.files import (
    PROJECT,
    as_tsuru_starts,
    collected,
    line_of_document,
    processes,
    variables_of_tsuru,
    write_program,
)

# So that two units share a port, as pods do.
ONE, TWO = "127.0.0.1", "127.0.0.2"


@dataclass
class App:
    """Units of `web` on one machine, and the API that lists them."""

    folder: Path
    world: World
    rest_port: int
    port: int
    api: TsuruApi
    environment: dict[str, str]
    started: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def start(self, address: str) -> None:
        environment = variables_of_tsuru("web", f"{self.rest_port},{self.port}") | {
            "MODEL_NAME": MODEL,
            "MODEL_CONFIG": str(self.world.config),
            "BATCHING": "true",
            "LISTEN_ON": address,
            "PYTHONPATH": str(PROJECT),
        }
        command = as_tsuru_starts(processes(self.folder)["web"])
        with (self.folder / f"{address}.log").open("wb") as log:
            process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)
        self.started.append(process)

    def healthy(self) -> bool:
        """As the health check of tsuru.yaml says, in the unit on the first address."""
        app = yaml.safe_load((self.folder / "tsuru.yaml").read_text(encoding="utf-8"))
        command = app["processes"][0]["healthcheck"]["command"]
        environment = {"PATH": os.environ["PATH"], "MODEL_NAME": MODEL, "REST_PORT": str(self.rest_port)}
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, check=False)
        return done.returncode == 0

    def answering(self) -> list[int | None]:
        found: list[int | None] = []
        for address in parse_fleet(f"tsuru://digits/web:{self.port}").addresses():
            with GrpcReplica(address, timeout=5) as replica:
                found.append(replica.version_behind(MODEL, STABLE))
        return found

    def understudy(self, text: str) -> "subprocess.CompletedProcess[str]":
        """A command of the document, for this bucket and these units."""
        command = text.replace(":8500", f":{self.port}").replace("http://mlflow:5000", NO_MLFLOW)
        command = command.replace("--minimum 3", "--minimum 2")
        return subprocess.run(
            ["bash", "-euc", command],
            env=os.environ | self.environment,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    try:
        socket.create_server((TWO, 0)).close()
    except OSError:
        pytest.skip(f"{TWO} is no address of this machine. On macOS: sudo ifconfig lo0 alias {TWO}")
    port, rest_port = free_port(), free_port()
    units = [unit("digits-web-1", ip=ONE), unit("digits-web-2", ip=TWO)]
    world = World(tmp_path, follow_seconds=30)
    world.extra = {
        "replicas": f"tsuru://digits/web:{port}",
        "expected_replicas": 2,
        "config_poll_seconds": 1,
        "rpc_seconds": 5.0,
    }
    world.bucket.mkdir()
    folder = collected(tmp_path / "app")
    # The loader of the tests, in place of the platform's Python.
    write_program(folder / "python", f'shift 2; exec {shlex.quote(sys.executable)} -m tests.serving_image.server "$@"')
    with TsuruApi({"digits": units}) as api:
        monkeypatch.setenv("TSURU_TARGET", api.target)
        monkeypatch.setenv("TSURU_TOKEN", TOKEN)
        environment = installed(tmp_path / "bin") | {"UNDERSTUDY_ROOT": str(world.bucket)}
        made = App(folder, world, rest_port, port, api, environment)
        try:
            yield made
        finally:
            for process in made.started:
                process.terminate()
            for process in made.started:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(30)
                process.kill()


@hunt
def test_a_release_and_a_roll_back_reach_both_units(app: App) -> None:
    created = app.understudy(line_of_document("understudy init"))
    assert 0 == created.returncode, created.stderr
    for address in (ONE, TWO):
        app.start(address)
    assert eventually(app.healthy, seconds=60), (app.folder / f"{ONE}.log").read_text()

    app.world.release("retrain-1")
    app.world.release("retrain-2")

    assert [2, 2] == app.answering()
    assert eventually(app.healthy, seconds=20)
    asked = {"instances": [{"b64": "MSAw"}]}
    rest = f"http://{ONE}:{app.rest_port}/v1/models/digits/labels/stable:predict"
    assert ["1"] == [row["label"] for row in httpx.post(rest, json=asked, timeout=20).json()["predictions"]]
    with Client(parse_fleet(f"tsuru://digits/web:{app.port}", expected=2)) as client:
        answer = client.predict(MODEL, inputs_of([b"3 0"]))
    assert (2, "3") == (answer.version, labels_of(answer.outputs)[0])

    app.world.roll_back("previous")

    assert [1, 1] == app.answering()
    ring = app.understudy(line_of_document("understudy fleet set"))
    assert 0 == ring.returncode, ring.stderr
    assert (app.world.bucket / layout.first_ring_config(MODEL)).exists()
