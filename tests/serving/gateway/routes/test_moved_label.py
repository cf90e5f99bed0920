"""A label that moves to a version with another signature: the gateway notices, and asks anew."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf import text_format

from serving.apis import model_server_config_pb2, types_pb2
from serving.grpc_replica import GrpcReplica
from serving.model_server.flags import parse_flags
from serving.model_server.lifecycle.servable import ServableId
from serving.model_server.server import Server
from serving.server_flags import ConfigSource, replica_flags
from tests.fleet import write_classifier
from tests.ports import free_port
from tests.serving.client.servers import eventually
from tests.serving.gateway.running import gateway
from tests.serving.gateway.typed import Arithmetic, signature_of

CONFIG = """
    model_config_list {{ config {{
      name: "moving" base_path: "{base}" model_platform: "tensorflow"
      model_version_policy {{ specific {{ versions: 1 versions: 2 }} }}
      version_labels {{ key: "stable" value: {stable} }}
    }} }}
"""


class Renamed(Arithmetic):
    """Version 1 takes `x`, and version 2 takes the same under the name `w`."""

    def __init__(self, version: int) -> None:
        super().__init__(version)
        name = "x" if version == 1 else "w"
        made = signature_of({name: types_pb2.DT_FLOAT}, {"y": types_pb2.DT_FLOAT})
        made.inputs[name].name = "x:0"
        self.signatures = {"serving_default": made}


def load(servable_id: ServableId, _: str) -> Renamed:
    return Renamed(servable_id.version)


@dataclass(frozen=True)
class Moving:
    """A client of the gateway, and how to move the label."""

    client: httpx.Client
    address: str
    base: Path

    def move(self, stable: int) -> None:
        config = model_server_config_pb2.ModelServerConfig()
        text_format.Parse(CONFIG.format(base=self.base, stable=stable), config)
        with GrpcReplica(self.address, timeout=10) as replica:
            replica.reload(config)


@contextmanager
def moving(folder: Path) -> Iterator[Moving]:
    base = folder / "moving"
    for version in (1, 2):
        write_classifier(base / str(version))
    config = folder / "models.config"
    config.write_text(CONFIG.format(base=base, stable=1))
    port = free_port()
    words = replica_flags(ConfigSource(uri=str(config)), port=port)
    server = Server(replace(parse_flags(words), host="127.0.0.1", model_config_file_poll_wait_seconds=0), load)
    server.start()
    try:
        with (
            gateway(f"moving=127.0.0.1:{port}") as running,
            httpx.Client(base_url=running.url, timeout=30) as client,
        ):
            # A server gives labels out when all versions are loaded, a moment after it began to answer.
            eventually(lambda: client.get("/v2/models/moving/ready").status_code == 200)
            yield Moving(client, f"127.0.0.1:{port}", base)
    finally:
        server.stop()


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Moving]:
    with moving(tmp_path) as made:
        yield made


def test_requests_follow_a_label_to_a_version_with_another_signature(fleet: Moving) -> None:
    """Rows without a name fit both signatures: the request that was made for the old one is made anew."""
    before = fleet.client.post("/v1/models/moving:predict", json={"instances": [3]})
    fleet.move(2)
    after = fleet.client.post("/v1/models/moving:predict", json={"instances": [3]})
    metadata = fleet.client.get("/v1/models/moving/metadata").json()

    assert ({"predictions": [3.0]}, "1") == (before.json(), before.headers["x-model-version"])
    assert ({"predictions": [6.0]}, "2") == (after.json(), after.headers["x-model-version"])
    assert "2" == metadata["model_spec"]["version"]


def test_a_row_that_only_the_new_signature_takes_is_taken(fleet: Moving) -> None:
    before = fleet.client.post("/v1/models/moving:predict", json={"instances": [{"x": 3}]})
    fleet.move(2)
    after = fleet.client.post("/v1/models/moving:predict", json={"instances": [{"w": 3}]})

    assert {"predictions": [3.0]} == before.json()
    assert {"predictions": [6.0]} == after.json()


def tensor(name: str) -> dict[str, Any]:
    return {"inputs": [{"name": name, "datatype": "FP32", "shape": [1], "data": [3]}]}


def test_the_inference_protocol_knows_the_new_signature_after_a_label_has_moved(fleet: Moving) -> None:
    path = "/v2/models/moving/infer"
    before = fleet.client.post(path, json=tensor("x"))
    fleet.move(2)
    new, old = fleet.client.post(path, json=tensor("w")), fleet.client.post(path, json=tensor("x"))

    assert ("1", 200) == (before.json()["model_version"], before.status_code)
    assert 400 == old.status_code
    assert "2" == new.json()["model_version"]
