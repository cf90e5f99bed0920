"""Model servers as docker-compose.yaml starts them: processes with batching, and the page that Prometheus reads."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx

from serving.apis import prediction_service_pb2_grpc
from serving.server_flags import ConfigSource, replica_flags
from tests.monitoring.saved_model import request
from tests.ports import free_port
from tests.serving.model_server.test_process import process
from tests.serving.model_server.world import config, eventually

MODEL = "digits"
METRICS = "/monitoring/prometheus/metrics"


@dataclass(frozen=True)
class MonitoredServer:
    """One server, and the config file that it polls each second."""

    port: int
    rest_port: int
    config: Path
    models: Path
    started: subprocess.Popen[bytes]

    def page(self) -> str:
        """Raises httpx.HTTPError: it does not answer."""
        return httpx.get(f"http://127.0.0.1:{self.rest_port}{METRICS}", timeout=10).raise_for_status().text

    def predict(self, model: str = MODEL) -> int:
        """Ask over REST, also for a version: `digits/versions/3`. Returns the HTTP status."""
        url = f"http://127.0.0.1:{self.rest_port}/v1/models/{model}:predict"
        return httpx.post(url, json={"instances": [1.0, 2.0]}, timeout=10).status_code

    def predict_over_grpc(self) -> None:
        with grpc.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request(MODEL), timeout=10)

    def serve(self, *versions: int) -> None:
        write_config(self.config, self.models, versions)

    def stop(self) -> None:
        self.started.kill()
        self.started.wait(10)


@contextmanager
def monitored_server(folder: Path, models: Path, *, versions: Sequence[int] = (1,)) -> Iterator[MonitoredServer]:
    """It has been started, see `wait_until_ready`.

    Args:
        folder: for its files; made.
        models: with the versions of `MODEL`.
        versions: what it loads.
    """
    folder.mkdir()
    file, monitoring = folder / "models.config", folder / "monitoring.config"
    write_config(file, models, versions)
    monitoring.write_text("prometheus_config { enable: true }")
    port, rest_port = free_port(), free_port()
    flags = replica_flags(ConfigSource(uri=str(file)), port=port, rest_port=rest_port, load_retries=0, threads=1)
    ours = ("--enable_batching=true", f"--monitoring_config_file={monitoring}")
    with process(folder / "log", *flags, *ours) as started:
        yield MonitoredServer(port, rest_port, file, models, started)


def wait_until_ready(server: MonitoredServer) -> None:
    eventually(lambda: _shows(server, "load_attempt_count{"), seconds=60)


def wait_for_load(server: MonitoredServer, version: int, status: str) -> None:
    """`status` is "success" or "fail"."""
    wanted = f'load_attempt_count{{model_path="{server.models}/{version}",status="{status}"}}'
    eventually(lambda: _shows(server, wanted), seconds=60)


def write_config(file: Path, models: Path, versions: Sequence[int]) -> None:
    new = file.with_suffix(".new")
    new.write_text(str(config(models, name=MODEL, versions=versions)))
    new.replace(file)


def _shows(server: MonitoredServer, text: str) -> bool:
    assert server.started.poll() is None, "the server has ended; its log says why"
    try:
        return text in server.page()
    except httpx.HTTPError:
        return False
