"""The commands of the rendered chart are run, with folders and ports of this machine in the place of the cluster's.

The embedded model server stands for tensorflow_model_server, a folder for the bucket, and the checkout for the image.
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from pipeline import layout
from pipeline.deployment import Deployment
from pipeline.fleets.fleet_spec import FleetSpec
from serving.fleet.kubernetes import parse_kubernetes
from serving.model_server.flags import parse_flags
from serving.model_server.server import Server
from tests.chart.helm import NAMESPACE, Manifest, of_kind, rendered, server
from tests.command import PROJECT, installed
from tests.fleet import LABELS, Classifier, write_classifier
from tests.hunts import hunt
from tests.ports import free_port

SECONDS = 60

# A config as a release leaves it: one version, with the label that users ask for.
RELEASED = """model_config_list {{ config {{
  name: "digits" base_path: "{base_path}" model_platform: "tensorflow"
  model_version_policy {{ specific {{ versions: 1 }} }} version_labels {{ key: "stable" value: 1 }}
}} }}
"""


class AnyImage(Classifier):
    """A classifier that takes every image for the first label, as a model that decodes images may."""

    def answer(self, image: bytes) -> tuple[list[float], bytes]:
        assert image.startswith(b"\x89PNG")
        return super().answer(LABELS[0].encode())


def any_image(*_: Any) -> AnyImage:
    return AnyImage()


class Machine:
    """Stands for a node: commands of the chart run here, where `places` has other folders than the cluster."""

    def __init__(self, folder: Path, places: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = installed(folder / "bin") | {"HOME": str(folder)}
        self._places = places

    def local(self, text: str) -> str:
        for cluster, here in self._places.items():
            text = text.replace(cluster, here)
        return text

    def command(self, container: Manifest) -> tuple[list[str], dict[str, str]]:
        """What the image's entry point is given, and the environment."""
        variables = {each["name"]: self.local(each["value"]) for each in container["env"]}
        return [self.local(word) for word in container["args"]], self.environment | variables

    def run(self, container: Manifest) -> subprocess.CompletedProcess[str]:
        words, environment = self.command(container)
        return subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS)


@pytest.fixture
def on_volume(tmp_path: Path) -> Machine:
    return Machine(tmp_path, {"/bucket": str(tmp_path / "bucket")})


@pytest.fixture(scope="module")
def installed_chart(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """What the Job leaves before servers start. Nothing may be written there."""
    folder = tmp_path_factory.mktemp("installed")
    machine = Machine(folder, {"/bucket": str(folder / "bucket")})
    done = machine.run(job())
    assert done.returncode == 0, done.stderr
    return machine


def job(*sets: str, values: str = "minikube-values.yaml") -> Manifest:
    """The container of the Job that writes the record of the fleet."""
    found = of_kind(rendered(values, sets=sets), "Job")["u-understudy-digits-init"]
    (container,) = found["spec"]["template"]["spec"]["containers"]
    return container  # type: ignore[no-any-return]


def records(folder: Path) -> list[dict[str, Any]]:
    """The records of the fleet, the oldest first."""
    return [json.loads(path.read_text()) for path in sorted((folder / layout.fleets("digits")).iterdir())]


def test_the_pods_may_be_found_by_the_api_of_kubernetes() -> None:
    """...by the Services that the chart makes, in the namespace where it is installed."""
    arguments = job("discovery=kubernetes")["args"]
    sources = [parse_kubernetes(each.partition("kubernetes://")[2]) for each in arguments if "kubernetes://" in each]
    services = of_kind(rendered("minikube-values.yaml"), "Service")

    assert ["u-understudy-digits-first", "u-understudy-digits-rest"] == [each.service for each in sources]
    assert {each.service for each in sources} <= set(services)
    assert [(NAMESPACE, 8500)] * 2 == [(each.namespace, each.port) for each in sources]
    assert not [each for each in arguments if "dns://" in each]


def test_the_job_writes_the_fleet_that_the_chart_starts(installed_chart: Machine) -> None:
    (record,) = records(installed_chart.folder / "bucket")

    fleet = FleetSpec.model_validate(record["fleet"])
    assert "helm release u" == record["actor"]
    assert {
        "first": ("dns://u-understudy-digits-first.serving.svc.cluster.local.:8500", 1),
        "rest": ("dns://u-understudy-digits-rest.serving.svc.cluster.local.:8500", 2),
    } == {name: (group.replicas, group.minimum) for name, group in fleet.groups.items()}
    assert "first" == fleet.first_ring
    assert "2.21" == fleet.server_tensorflow
    assert "http://mlflow.mlflow:5000" == fleet.mlflow_url
    defaults = Deployment()
    for name in ("rollout", "config_poll_seconds", "load_seconds", "follow_seconds", "soak_seconds", "silent_seconds"):
        assert getattr(defaults, name) == getattr(fleet, name), name


def test_each_server_polls_what_the_job_has_written(installed_chart: Machine) -> None:
    for each in of_kind(rendered("minikube-values.yaml"), "Deployment").values():
        (flag,) = [word for word in server(each)["args"] if word.startswith("--model_config_file=")]
        config = Path(installed_chart.local(flag.partition("=")[2]))
        assert "model_config_list {}" in config.read_text()


@hunt
def test_the_job_refuses_another_fleet_unless_the_values_are_to_be_recorded(on_volume: Machine) -> None:
    """An upgrade with the same values changes nothing; one with others ends before it reaches the servers."""
    bucket = on_volume.folder / "bucket"
    four = "fleets.digits.groups.rest.replicas=4"
    on_volume.run(job())

    same = on_volume.run(job())
    refused = on_volume.run(job(four))
    after_refusal = len(records(bucket))
    recorded = on_volume.run(job(four, "init.onChange=record"))

    assert (0, 1, 0) == (same.returncode, refused.returncode, recorded.returncode), recorded.stderr
    assert "is recorded already" in refused.stderr
    assert 1 == after_refusal
    newest = records(bucket)[-1]
    assert 4 == newest["fleet"]["groups"]["rest"]["minimum"]
    assert "revision 1 of the helm release u" == newest["reason"]


def test_a_fleet_of_the_roll_out_latest_without_a_first_ring_is_recorded_as_such(tmp_path: Path) -> None:
    machine = Machine(tmp_path, {"/bucket": str(tmp_path / "bucket")})

    ringless = ("fleets.digits.rollout=latest", "fleets.digits.groups.first.firstRing=false")
    done = machine.run(job(*ringless))

    assert done.returncode == 0, done.stderr
    (record,) = records(tmp_path / "bucket")
    assert ("latest", None) == (record["fleet"]["rollout"], record["fleet"]["first_ring"])


def test_the_sidecar_copies_what_the_server_is_started_with(tmp_path: Path) -> None:
    """Kubernetes starts the server when the startup probe of the sidecar passes."""
    (tmp_path / "srv").mkdir()
    machine = Machine(tmp_path, {"s3://models": str(tmp_path), "/srv/understudy": str(tmp_path / "srv")})
    deployment = of_kind(rendered("s3-values.yaml"), "Deployment")["u-understudy-digits-first"]
    (sidecar,) = deployment["spec"]["template"]["spec"]["initContainers"]
    init = machine.run(job(values="s3-values.yaml"))
    assert init.returncode == 0, init.stderr

    words, environment = machine.command(sidecar)
    probe = [machine.local(word) for word in sidecar["startupProbe"]["exec"]["command"]]
    process = subprocess.Popen(words, env=environment)
    try:
        wait_until(lambda: subprocess.run(probe, check=False).returncode == 0)
        ended = process.poll()
    finally:
        process.terminate()
        process.wait(SECONDS)

    (flag,) = [word for word in server(deployment)["args"] if word.startswith("--model_config_file=")]
    assert "model_config_list {}" in Path(machine.local(flag.partition("=")[2])).read_text()
    assert ended is None, "it goes on, because releases follow"
    (record,) = records(tmp_path / "understudy")
    assert 2 == record["fleet"]["config_poll_seconds"], "a server follows after the sidecar's poll and its own"


@contextmanager
def running(machine: Machine, values: str, deployment: str, *sets: str) -> Iterator[tuple[int, int, Manifest]]:
    """A model server with the arguments of a rendered pod; its two ports and the container."""
    objects = rendered(values, sets=sets)
    container = server(of_kind(objects, "Deployment")[deployment])
    files = of_kind(objects, "ConfigMap")["u-understudy-digits-config"]["data"]
    (machine.folder / "config").mkdir()
    for name, content in files.items():
        (machine.folder / "config" / name).write_text(content)
    ports = free_port(), free_port()
    moved = {f"port={8500}": f"port={ports[0]}", f"port={8501}": f"port={ports[1]}"}
    moved["/etc/understudy"] = str(machine.folder / "config")
    words = [_replaced(machine.local(word), moved) for word in container["args"]]
    running_server = Server(replace(parse_flags(words), host="127.0.0.1"), any_image)
    running_server.start()
    try:
        yield *ports, container
    finally:
        running_server.stop()


def _replaced(word: str, texts: Mapping[str, str]) -> str:
    for before, after in texts.items():
        word = word.replace(before, after)
    return word


def status_of(container: Manifest, probe: str, port: int) -> int:
    path = container[probe]["httpGet"]["path"]
    return httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False).status_code


def health(container: Manifest, port: int) -> int:
    """What the kubelet asks for a probe of the kind `grpc`, which names no service."""
    assert {"port": 8500} == container["livenessProbe"]["grpc"]
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
    return int(answer.status)


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.05)


def ask(port: int, values: str, *sets: str) -> subprocess.CompletedProcess[str]:
    """Run the pod of `helm test`, with the server's address in the place of the Service's."""
    pod = of_kind(rendered(values, sets=sets), "Pod")["u-understudy-digits-test"]
    words: Sequence[str] = pod["spec"]["containers"][0]["args"]
    assert "u-understudy-digits.serving.svc.cluster.local:8500" == words[3]
    moved = [sys.executable, *words[1:3], f"127.0.0.1:{port}", *words[4:]]
    environment = {"PYTHONPATH": str(PROJECT)}
    return subprocess.run(moved, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS)


def test_a_server_is_alive_before_the_first_release_and_ready_after_it(
    on_volume: Machine, installed_chart: Machine
) -> None:
    batching = "fleets.digits.batching=true"
    bucket = on_volume.folder / "bucket"
    shutil.copytree(installed_chart.folder / "bucket", bucket)

    with running(on_volume, "minikube-values.yaml", "u-understudy-digits-rest", batching) as (port, rest, container):
        before = (
            health(container, port),
            status_of(container, "readinessProbe", rest),
            ask(port, "minikube-values.yaml"),
        )
        write_classifier(bucket / layout.version("digits", 1))
        (bucket / layout.config("digits")).write_text(RELEASED.format(base_path=bucket / layout.versions("digits")))
        wait_until(lambda: status_of(container, "readinessProbe", rest) == 200)
        after = health(container, port), ask(port, "minikube-values.yaml")
        metrics = httpx.get(f"http://127.0.0.1:{rest}/monitoring/prometheus/metrics", trust_env=False)

    serving = health_pb2.HealthCheckResponse.SERVING
    assert serving == before[0] == after[0], "alive, whatever is loaded"
    assert 200 != before[1]
    assert 1 == before[2].returncode
    assert "no answer for digits from 127.0.0.1" in before[2].stderr
    assert "v1 of digits answers: 0\n" == after[1].stdout, after[1].stderr
    assert ":tensorflow:serving:request_count" in metrics.text


@pytest.mark.parametrize(
    ("values", "deployment", "sets"),
    [
        ("minikube-values.yaml", "u-understudy-digits-first", ("fleets.digits.rollout=latest",)),
        ("baked-values.yaml", "u-understudy-digits-all", ()),
    ],
)
def test_a_server_without_labels_is_ready_with_any_version(
    values: str, deployment: str, sets: tuple[str, ...], tmp_path: Path
) -> None:
    machine = Machine(
        tmp_path, {"/bucket": str(tmp_path / "bucket"), "/models": str(tmp_path / "bucket/first_ring/digits")}
    )
    write_classifier(tmp_path / "bucket" / layout.first_ring_version("digits", 3))

    with running(machine, values, deployment, *sets) as (port, rest, container):
        wait_until(lambda: status_of(container, "readinessProbe", rest) == 200)
        answer = ask(port, values, *sets)

    assert "v3 of digits answers: 0\n" == answer.stdout, answer.stderr


@hunt
def test_clients_move_to_another_connection_before_a_pod_ends_and_lose_no_request(
    on_volume: Machine, installed_chart: Machine
) -> None:
    """A client that stays on its connection is cut off when the pod is killed, at the end of its grace period."""
    shutil.copytree(installed_chart.folder / "bucket", on_volume.folder / "bucket")
    short = ("fleets.digits.connectionSeconds=1", "fleets.digits.drainSeconds=3")
    states: list[grpc.ChannelConnectivity] = []

    with (
        running(on_volume, "minikube-values.yaml", "u-understudy-digits-rest", *short) as (port, _, container),
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        channel.subscribe(states.append)
        end = time.monotonic() + container["lifecycle"]["preStop"]["sleep"]["seconds"]
        answers = []
        while time.monotonic() < end or states.count(grpc.ChannelConnectivity.READY) < 2:
            answers.append(health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5).status)
            assert time.monotonic() < end + SECONDS, "the connection is still the first one"
            time.sleep(0.01)

    assert {health_pb2.HealthCheckResponse.SERVING} == set(answers)
