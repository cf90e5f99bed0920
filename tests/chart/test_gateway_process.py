"""The gateway as the chart starts it, as a process: pods come from an API as Kubernetes has it, keys from a Secret.

Only what belongs to the pod is replaced in its arguments: the addresses to listen on, the folder of the keys, and the
port of the servers. It is not a pod of `tests.kubernetes`: containers there have no folders of Secrets, and no network
of their own in which it could have the ports of the chart.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from serving.gateway.security.keys import digest_of, new_key
from tests.chart.helm import CHARTS, NAMESPACE, containers, of_kind, rendered
from tests.hunts import hunt
from tests.kubernetes.api import KubernetesApi
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.objects import endpoint, endpoint_slice, pod
from tests.kubernetes.resources import PODS, SLICES
from tests.ports import free_port
from tests.serving.gateway.pictures import picture_servers, png

NAME = "u-understudy-gateway"
SERVICE = "u-understudy-digits"
URL = "http://127.0.0.1:{}/v1/classify/digits"
KEY = new_key()
SETS = (
    "discovery=kubernetes",
    "classifyGateway.enabled=true",
    f"classifyGateway.keys.hashes.shop=sha256:{digest_of(KEY).hex()}",
)


@hunt
def test_it_finds_the_pods_by_the_api_and_answers_who_has_a_key(tmp_path: Path) -> None:
    with picture_servers(tmp_path / "models") as (address,), cluster_with(address) as api:
        (tmp_path / "kubeconfig").write_text(api.kubeconfig(namespace=NAMESPACE))
        with running(tmp_path, address) as port:
            answer = ask(port, {"X-API-Key": KEY})
            refused = ask(port, {})

    assert 200 == answer.status_code, answer.text
    assert (1, address) == (answer.json()["version"], answer.json()["replica"])
    assert "3" == answer.json()["predictions"][0]["labels"][0]["label"], "white, as the classifier of the tests says"
    assert 401 == refused.status_code


@contextmanager
def cluster_with(address: str) -> Iterator[KubernetesApi]:
    """An API that has the fleet's Service with one pod, which is the server at this address."""
    host, _, port = address.partition(":")
    cluster = Cluster(namespaces={NAMESPACE})
    server = pod("server-1")
    cluster.put(PODS, server, namespace=NAMESPACE)
    found = endpoint_slice("servers", endpoint(server, host), service=SERVICE, ports={"grpc": int(port)})
    cluster.put(SLICES, found, namespace=NAMESPACE)
    with KubernetesApi(cluster, images={}) as api:
        yield api


@contextmanager
def running(folder: Path, server: str) -> Iterator[int]:
    """The gateway with the arguments of the chart; its port."""
    port = free_port()
    command = [sys.executable, *arguments(folder, port, server.partition(":")[2])]
    environment = os.environ | {"KUBECONFIG": str(folder / "kubeconfig"), "PYTHONPATH": str(CHARTS.parent)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        wait_until_up(process, port, folder / "log")
        yield port
    finally:
        process.terminate()
        process.wait(30)


def arguments(folder: Path, port: int, server_port: str) -> list[str]:
    objects = rendered("minikube-values.yaml", sets=SETS)
    (container,) = containers(of_kind(objects, "Deployment")[NAME]["spec"]["template"]["spec"])
    (folder / "keys").write_text(of_kind(objects, "Secret")[f"{NAME}-keys"]["stringData"]["keys"])
    for old, new in {
        "0.0.0.0": "127.0.0.1",  # noqa: S104 - it is replaced
        "=8090": f"={port}",
        "=8091": f"={free_port()}",
        "/etc/understudy/keys/keys": str(folder / "keys"),
        ":8500": f":{server_port}",
    }.items():
        container = {"args": [word.replace(old, new) for word in container["args"]]}
    words: list[str] = container["args"]
    assert "python" == words[0]
    return words[1:]


def wait_until_up(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    for _ in range(600):
        if process.poll() is not None:
            break
        try:
            httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"the gateway is not up:\n{log.read_text()}")


def ask(port: int, headers: Mapping[str, str]) -> httpx.Response:
    return httpx.post(
        URL.format(port), content=png(), headers={"Content-Type": "image/png", **headers}, trust_env=False
    )
