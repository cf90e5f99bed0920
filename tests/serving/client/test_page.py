"""Each block of Python in docs/client.md works as it is written; only addresses and files are replaced."""

import re
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import pytest

from serving.apis import predict_pb2
from serving.signature import INPUT
from serving.wire import from_proto, to_proto
from tests.certificates import Authority
from tests.fleet import Classifier, outputs_for
from tests.releases import IMAGES, World
from tests.serving.client.servers import SmallServer

PAGE = (Path(__file__).parents[3] / "docs" / "client.md").read_text(encoding="utf-8")
SYNC, ASYNC, TLS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)

Run = Callable[[str, str], str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a block with these replicas, in a folder with an image, and return what it prints."""

    def done(block: str, replicas: str) -> str:
        (tmp_path / "image.png").write_bytes(IMAGES[0])
        monkeypatch.chdir(tmp_path)
        exec(block.replace("digits-1:8500,digits-2:8500", replicas), {})  # noqa: S102 - our own page
        return capsys.readouterr().out

    return done


def test_a_client_for_threads(world: World, run: Run) -> None:
    world.release("retrain-1")
    replica = world.replicas[0].address

    assert f"version 1 on {replica} says 0\n0: 70%\n1: 10%\n2: 10%\n" == run(SYNC, replica)


def test_a_client_for_asyncio(world: World, run: Run) -> None:
    world.release("retrain-1")
    replica = world.replicas[0].address

    assert f"{{'{replica}': 1}} ('0',)\n" == run(ASYNC, replica)


def test_a_client_with_certificates(tmp_path: Path, run: Run) -> None:
    authority = Authority()
    key, certificate = authority.issue("client")
    for name, content in (("ca", authority.pem), ("client", certificate), ("client-key", key)):
        (tmp_path / f"{name}.pem").write_bytes(content)

    def classified(request: predict_pb2.PredictRequest, _: grpc.ServicerContext) -> predict_pb2.PredictResponse:
        images = np.atleast_1d(from_proto(request.inputs[INPUT])).tolist()
        outputs = outputs_for([Classifier().answer(image) for image in images])
        reply = predict_pb2.PredictResponse(outputs={name: to_proto(array) for name, array in outputs.items()})
        reply.model_spec.version.value = 3
        return reply

    credentials = grpc.ssl_server_credentials([authority.issue("server")], authority.pem, require_client_auth=True)
    with SmallServer(classified, credentials=credentials) as server:
        assert "version 3 says 0\n" == run(TLS, server.address)
