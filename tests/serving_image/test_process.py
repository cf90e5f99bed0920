"""The entry point in front of the embedded server: what a container of the image does from its start to its end."""

import signal
from pathlib import Path

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.grpc_replica import GrpcReplica
from serving.model_server.batching.parameters import read_parameters
from serving.replica import STABLE
from tests.fleet import write_classifier
from tests.ports import free_port
from tests.releases import eventually
from tests.serving.model_server.test_process import merged
from tests.serving.model_server.world import config
from tests.serving_image.image import FOLDER, healthy, started

METRICS = "/monitoring/prometheus/metrics"


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """A model with two versions, a config that labels the first, and ports."""
    for version in (1, 2):
        write_classifier(tmp_path / "serve" / "digits" / str(version))
    whole = merged(config(tmp_path / "serve" / "digits", versions=(1,), name="digits", stable=1))
    (tmp_path / "serve" / "digits.config").write_text(str(whole))
    return {"PORT": str(free_port()), "REST_PORT": str(free_port()), "MODEL_NAME": "digits"}


def test_with_a_config_it_serves_in_batches_shows_metrics_and_ends_on_sigterm(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    variables |= {"MODEL_CONFIG": str(tmp_path / "serve" / "digits.config"), "BATCHING": "true"}
    with started(tmp_path, **variables) as process:
        assert eventually(lambda: healthy("ready", **variables), seconds=60), (tmp_path / "log").read_text()
        address = f"127.0.0.1:{variables['PORT']}"
        rest = f"http://127.0.0.1:{variables['REST_PORT']}"
        with GrpcReplica(address, timeout=10) as replica:
            version = replica.version_behind("digits", STABLE)
        # More rows than a batch has.
        asked = {"instances": [{"b64": "MSAw"}] * 20}
        answer = httpx.post(f"{rest}/v1/models/digits/labels/stable:predict", json=asked, timeout=20)
        metrics = httpx.get(f"{rest}{METRICS}", timeout=20).text
        with grpc.insecure_channel(address) as channel:
            said = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)

        process.send_signal(signal.SIGTERM)
        code = process.wait(30)

    assert 1 == version
    assert ["1"] * 20 == [row["label"] for row in answer.json()["predictions"]], answer.text
    assert ':tensorflow:serving:request_count{model_name="digits",status="OK"} ' in metrics
    assert ":tensorflow:serving:batching_session:queuing_latency" in metrics
    assert health_pb2.HealthCheckResponse.SERVING == said.status
    assert 0 == code
    assert not healthy("alive", **variables)


def test_with_a_base_path_it_serves_the_highest_version(tmp_path: Path, variables: dict[str, str]) -> None:
    variables |= {"MODEL_PATH": str(tmp_path / "serve" / "digits"), "MONITORING": "false"}
    with started(tmp_path, **variables):
        assert eventually(lambda: healthy("ready", **variables), seconds=60), (tmp_path / "log").read_text()
        with GrpcReplica(f"127.0.0.1:{variables['PORT']}", timeout=10) as replica:
            version = replica.version_behind("digits", None)
        metrics = httpx.get(f"http://127.0.0.1:{variables['REST_PORT']}{METRICS}", timeout=20)

    assert 2 == version
    assert 404 == metrics.status_code


def test_the_parameters_of_batching_are_ones_that_the_server_takes() -> None:
    parameters = read_parameters(str(FOLDER / "batching.config"))

    assert 8 == parameters.max_execution_batch_size
    assert parameters.enable_large_batch_splitting
    # The largest request fits into the queue.
    assert parameters.max_batch_size <= parameters.max_execution_batch_size * parameters.max_enqueued_batches


def test_a_flag_that_the_server_does_not_know_is_not_hidden(tmp_path: Path, variables: dict[str, str]) -> None:
    variables |= {"MODEL_PATH": str(tmp_path / "serve" / "digits")}
    with started(tmp_path, "--no_such_flag=1", **variables) as process:
        assert 255 == process.wait(30)
    assert "--no_such_flag=1" in (tmp_path / "log").read_text()
