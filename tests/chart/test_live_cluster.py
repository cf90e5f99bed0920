"""What the real helm renders in an upgrade of a cluster in which a Deployment exists.

An API server with this Deployment stands for the cluster. Helm only reads there: it has the release from a file.
"""

import json
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from tests.chart.helm import CHART, NAMESPACE, RELEASE, objects_in, of_kind, rendered, tool

NAME = "u-understudy-digits-rest"
AUTOSCALED = "fleets.digits.groups.rest.autoscaling.maxReplicas=9"
RESOURCE = {"name": "deployments", "kind": "Deployment", "namespaced": True, "verbs": ["get"]}
VERSION = {"groupVersion": "apps/v1", "version": "v1"}
# What an API server says about itself.
DISCOVERY: dict[str, Any] = {
    "/version": {"major": "1", "minor": "33", "gitVersion": "v1.33.0"},
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/api/v1": {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "v1", "resources": []},
    "/apis": {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [{"name": "apps", "versions": [VERSION], "preferredVersion": VERSION}],
    },
    "/apis/apps/v1": {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": "apps/v1",
        "resources": [RESOURCE],
    },
}
MISSING = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}


class Api(ThreadingHTTPServer):
    """Answers what helm asks, with the objects at their paths."""

    def __init__(self, objects: dict[str, Any]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.found = DISCOVERY | objects


class Handler(BaseHTTPRequestHandler):
    server: Api

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        body = json.dumps(self.server.found.get(path, MISSING)).encode()
        self.send_response(200 if path in self.server.found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: the test reads what helm renders."""


@pytest.fixture
def api() -> Iterator[Api]:
    """The group was installed with two pods, and somebody has scaled it to four."""
    deployment = json.loads(json.dumps(of_kind(rendered("minikube-values.yaml"), "Deployment")[NAME]))
    deployment["metadata"]["namespace"] = NAMESPACE
    deployment["spec"]["replicas"] = 4
    with Api({f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{NAME}": deployment}) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def upgraded(api: Api, folder: Path, *sets: str) -> dict[str, Any]:
    """The spec of the group's Deployment after a real `helm upgrade`."""
    server = f"http://127.0.0.1:{api.server_port}"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        "current-context": "c",
    }
    (folder / "config").write_text(yaml.safe_dump(config))
    metadata = {"apiVersion": "v2", "name": "understudy", "version": "0.1.0"}
    release = {"name": RELEASE, "namespace": NAMESPACE, "version": 1, "info": {"status": "deployed"}}
    (folder / "releases.yaml").write_text(yaml.safe_dump([release | {"chart": {"metadata": metadata}}]))
    words = ["--namespace", NAMESPACE, "--values", str(CHART / "ci" / "minikube-values.yaml"), "--output", "json"]
    words += [word for each in sets for word in ("--set", each)]
    environment = {
        "HOME": str(folder),
        "KUBECONFIG": str(folder / "config"),
        "HELM_DRIVER": "memory",
        "HELM_MEMORY_DRIVER_DATA": str(folder / "releases.yaml"),
    }
    program = tool("helm", install="npm ci --ignore-scripts --prefix tests/chart/tools, or install helm 3")
    done = subprocess.run(
        [program, "upgrade", RELEASE, str(CHART), *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    spec: dict[str, Any] = of_kind(objects_in(json.loads(done.stdout)["manifest"]), "Deployment")[NAME]["spec"]
    return spec


def test_a_group_that_becomes_autoscaled_keeps_the_pods_that_it_has(api: Api, tmp_path: Path) -> None:
    """Without the number, helm removes the one of the release before, and the API sets it to 1."""
    assert 4 == upgraded(api, tmp_path, AUTOSCALED)["replicas"]


def test_a_group_that_is_not_autoscaled_has_the_number_of_the_values(api: Api, tmp_path: Path) -> None:
    assert 2 == upgraded(api, tmp_path)["replicas"]


def test_a_group_that_does_not_exist_yet_leaves_the_number_to_the_autoscaler(api: Api, tmp_path: Path) -> None:
    api.found = DISCOVERY

    assert "replicas" not in upgraded(api, tmp_path, AUTOSCALED)
