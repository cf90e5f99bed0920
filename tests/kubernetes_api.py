"""A server that speaks a part of the Kubernetes API: endpointslices and pods, get and list.

Lists know label and field selectors and pages. Requests need a token or the certificate of a client, and its rights are
checked. TLS is as in a cluster: the server's certificate is signed by an authority of its own.

.venv/bin/python -m tests.kubernetes_api --port 8444 --kubeconfig var/kubeconfig half=127.0.0.1,127.0.0.2
"""

import argparse
import base64
import json
import ssl
import tempfile
import threading
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from tests.certificates import Authority

TOKEN = "secret-of-the-test"
SLICES, PODS = "endpointslices", "pods"
# Where each resource is, and of which kind its objects are.
GROUPS = {SLICES: ("discovery.k8s.io/v1", "EndpointSlice"), PODS: ("v1", "Pod")}
Json = Mapping[str, Any]
# (verb, resource), for example ("list", "pods").
Right = tuple[str, str]
ALL_RIGHTS = frozenset((verb, resource) for verb in ("get", "list") for resource in GROUPS)


def pod(name: str, *, uid: str = "", restarts: int = 0, ready: bool = True, ending: bool = False) -> dict[str, Any]:
    """A pod with one container, `server`, and the fields that Kubernetes gives for one that runs."""
    ends = {"deletionTimestamp": "2026-11-29T08:00:30Z", "deletionGracePeriodSeconds": 30} if ending else {}
    container = {"name": "server", "image": "serving", "ports": [{"name": "grpc", "containerPort": 8500}]}
    status = {"name": "server", "image": "serving", "imageID": "serving", "ready": ready, "restartCount": restarts}
    return {
        "metadata": {"name": name, "uid": uid or f"uid-of-{name}", "labels": {"app": "digits"}, **ends},
        "spec": {"containers": [container]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [status],
        },
    }


def endpoint(of: Json, *addresses: str, terminating: bool = False) -> dict[str, Any]:
    """The endpoint of a pod. The Service publishes what is not ready, so `ready` is true for every endpoint."""
    metadata = of["metadata"]
    return {
        "addresses": list(addresses),
        "conditions": {"ready": True, "serving": not terminating, "terminating": terminating},
        "targetRef": {"kind": "Pod", "name": metadata["name"], "uid": metadata["uid"], "namespace": "serving"},
    }


def endpoint_slice(
    name: str, *endpoints: Json, service: str = "digits", family: str = "IPv4", ports: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """A slice of a Service; its ports are by default those of a model server."""
    named = {"grpc": 8500, "rest": 8501} if ports is None else ports
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": service}},
        "addressType": family,
        # Kubernetes leaves empty lists out of some objects, and gives null for them in others.
        "endpoints": list(endpoints) or None,
        "ports": [{"name": key, "port": port, "protocol": "TCP"} for key, port in named.items()],
    }


@dataclass
class Cluster:
    """The objects by resource, namespace and name; they may change."""

    objects: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)

    def put(self, resource: str, *objects: Json, namespace: str = "serving") -> None:
        for each in objects:
            whole = {**each, "metadata": {**each["metadata"], "namespace": namespace}}
            self.objects[resource, namespace, each["metadata"]["name"]] = whole

    def remove(self, resource: str, name: str, *, namespace: str = "serving") -> None:
        del self.objects[resource, namespace, name]

    def get(self, resource: str, namespace: str, name: str) -> dict[str, Any] | None:
        return self.objects.get((resource, namespace, name))

    def list(self, resource: str, namespace: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        return [
            found
            for (kind, space, _), found in sorted(self.objects.items())
            if (kind, space) == (resource, namespace)
            and _matches(query.get("labelSelector", ""), found["metadata"].get("labels") or {})
            and _matches(query.get("fieldSelector", ""), _Fields(found))
        ]


class _Fields(dict[str, str]):
    """The fields of an object by their paths, for example `metadata.name`."""

    def __init__(self, content: Json, prefix: str = "") -> None:
        super().__init__()
        for key, value in content.items():
            if isinstance(value, Mapping):
                self.update(_Fields(value, f"{prefix}{key}."))
            else:
                self[f"{prefix}{key}"] = str(value)


def _matches(selector: str, values: Mapping[str, str]) -> bool:
    """Whether all parts hold: `key=value`, `key==value`, `key!=value` or `key`."""
    for part in filter(None, selector.split(",")):
        name, operator, value = part.partition("=")
        if name.endswith("!"):
            holds = values.get(name.removesuffix("!")) != value
        else:
            holds = values.get(name) == value.removeprefix("=") if operator else name in values
        if not holds:
            return False
    return True


@dataclass
class KubernetesApi:
    """Serves on 127.0.0.1, with TLS.

    Attributes:
        cluster: the objects.
        rights: what each token, and each name of a client's certificate, may do.
        answer: what it answers instead, to every request; None for what Kubernetes does.
        largest_page: how many objects a page has at most, whatever the client wants.
        asked: the paths with queries that were asked for.
        port: where to listen; 0 for a free port.
    """

    cluster: Cluster = field(default_factory=Cluster)
    rights: dict[str, Collection[Right]] = field(default_factory=lambda: {TOKEN: ALL_RIGHTS})
    answer: tuple[int, bytes] | None = None
    largest_page: int = 500
    asked: list[str] = field(default_factory=list)
    port: int = 0
    authority: Authority = field(default_factory=Authority)

    def __enter__(self) -> Self:
        api = self

        class Handler(_Handler):
            def do_GET(self) -> None:
                api.asked.append(self.path)
                self.respond(*(api.answer or api.respond("GET", self.path, self.who())))

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.socket = self._tls().wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self._server.server_port}"

    def kubeconfig(self, *, user: Json | None = None, cluster: Json | None = None) -> str:
        """A kubeconfig for this server, with its token unless another user is given. JSON is YAML, too."""
        data = base64.b64encode(self.authority.pem).decode()
        reached = {"server": self.address, "certificate-authority-data": data}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "here", "user": "me", "namespace": "default"}}],
            "clusters": [{"name": "here", "cluster": reached if cluster is None else cluster}],
            "users": [{"name": "me", "user": {"token": TOKEN} if user is None else user}],
        }
        return json.dumps(content, indent=2)

    def respond(self, method: str, path: str, who: str) -> tuple[int, bytes]:
        parts = urlsplit(path)
        found = _resource(parts.path)
        if who not in self.rights:
            return _status(401, "Unauthorized")
        if found is None or method != "GET":
            return _status(404, "the server could not find the requested resource")
        resource, namespace, name = found
        verb = "get" if name else "list"
        if (verb, resource) not in self.rights[who]:
            return _status(403, f'{resource} is forbidden: User cannot {verb} resource "{resource}"')
        return self._get(resource, namespace, name) if name else self._list(resource, namespace, parts.query)

    def _get(self, resource: str, namespace: str, name: str) -> tuple[int, bytes]:
        content = self.cluster.get(resource, namespace, name)
        if content is None:
            return _status(404, f'{resource} "{name}" not found')
        version, kind = GROUPS[resource]
        return 200, json.dumps({"apiVersion": version, "kind": kind, **content}).encode()

    def _list(self, resource: str, namespace: str, text: str) -> tuple[int, bytes]:
        query = dict(parse_qsl(text))
        found = self.cluster.list(resource, namespace, query)
        begin = int(query.get("continue", "0"))
        end = begin + min(int(query.get("limit", "0")) or len(found), self.largest_page)
        more = {"continue": str(end), "remainingItemCount": len(found) - end} if end < len(found) else {}
        version, kind = GROUPS[resource]
        metadata = {"resourceVersion": "1", **more}
        content = {"apiVersion": version, "kind": f"{kind}List", "metadata": metadata, "items": found[begin:end]}
        return 200, json.dumps(content).encode()

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=self.authority.pem.decode())
        context.verify_mode = ssl.CERT_OPTIONAL
        with tempfile.NamedTemporaryFile() as pair:
            pair.write(b"".join(self.authority.issue("kubernetes")))
            pair.flush()
            context.load_cert_chain(pair.name)
        return context


class _Handler(BaseHTTPRequestHandler):
    connection: ssl.SSLSocket

    def who(self) -> str:
        """The token, or the name in the certificate of the client; empty for nobody."""
        if token := self.headers.get("Authorization", "").removeprefix("Bearer "):
            return token
        subject: Any = (self.connection.getpeercert() or {}).get("subject", ())
        return next((str(value) for part in subject for key, value in part if key == "commonName"), "")

    def respond(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def handle(self) -> None:
        # A client that does not trust the server, or has given up, closes the connection.
        with suppress(OSError):
            super().handle()

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()

    def log_message(self, *_: object) -> None:
        """Write nothing."""


def _resource(path: str) -> tuple[str, str, str] | None:
    """Resource, namespace and name, which is empty for a list; None for another path."""
    for resource, (version, _) in GROUPS.items():
        root = "/api/" if version == "v1" else "/apis/"
        match path.removeprefix(f"{root}{version}/namespaces/").split("/"):
            case [namespace, asked, *name] if namespace and asked == resource and len(name) <= 1:
                return resource, namespace, "".join(name)
    return None


def _status(code: int, message: str) -> tuple[int, bytes]:
    content = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
    return code, json.dumps(content).encode()


def serve(cluster: Cluster, entry: str) -> None:
    """Put a Service `name=address,address` into the namespace `serving`, with a pod for each address."""
    service, _, addresses = entry.partition("=")
    pods = {address: pod(f"{service}-{n}") for n, address in enumerate(filter(None, addresses.split(",")))}
    cluster.put(PODS, *pods.values())
    endpoints = [endpoint(each, address) for address, each in pods.items()]
    cluster.put(SLICES, endpoint_slice(f"{service}-abc12", *endpoints, service=service))


def main() -> None:
    parser = argparse.ArgumentParser(description="Answer as a Kubernetes API does, on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=8444)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="where to write a kubeconfig for it")
    parser.add_argument("entries", nargs="+", metavar="service=address,address")
    words = parser.parse_args()
    cluster = Cluster()
    for entry in words.entries:
        serve(cluster, entry)
    with suppress(KeyboardInterrupt), KubernetesApi(cluster, port=words.port) as api:
        words.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
        words.kubeconfig.write_text(api.kubeconfig(), encoding="utf-8")
        threading.Event().wait()


if __name__ == "__main__":
    main()
