"""A server that speaks the part of the Kubernetes API that Airflow's operators, fleets of pods and `kubectl` use."""

import base64
import json
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from tests.certificates import Authority
from tests.kubernetes.answers import (
    Answer,
    ConnectionCutError,
    HttpRequest,
    Stream,
    error_answer,
    json_answer,
    json_lines,
)
from tests.kubernetes.cluster import Cluster, Json
from tests.kubernetes.discovery import describe
from tests.kubernetes.faults import Faults, RequestFault
from tests.kubernetes.https_server import HttpsServer
from tests.kubernetes.images import Image
from tests.kubernetes.kubelet import Kubelet
from tests.kubernetes.pods import create_pod, delete_pod, patch_pod, read_log
from tests.kubernetes.resources import ALL_RIGHTS, PODS, SERVED, Request, Right, parse_request
from tests.kubernetes.statuses import ApiError, not_found
from tests.kubernetes.tables import is_table_wanted, pod_table, table_events
from tests.kubernetes.watching import watch

TOKEN = "secret-of-the-test"
_ERROR = "an error on the server has prevented the request from succeeding"
_MESSAGES = {401: "Unauthorized", 429: "Too many requests, please try again later."}
_UNKNOWN = "the server could not find the requested resource"


@dataclass
class KubernetesApi:
    """Serves on 127.0.0.1, with TLS as in a cluster: its certificate is signed by an authority of its own.

    Attributes:
        cluster: the objects.
        rights: what each token, and each name of a client's certificate, may do.
        images: those that the kubelet can pull, by name.
        faults: what goes wrong.
        answer: what it answers instead, to every request; None for what Kubernetes does.
        largest_page: how many objects a page has at most, whatever the client wants.
        asked: the paths with queries that were asked for.
        port: where to listen; 0 for a free port.
        kubelet: runs the pods; its `runs` have their command lines, variables and logs.
    """

    cluster: Cluster = field(default_factory=Cluster)
    rights: dict[str, Collection[Right]] = field(default_factory=lambda: {TOKEN: ALL_RIGHTS})
    images: Mapping[str, Image] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    answer: tuple[int, bytes] | None = None
    largest_page: int = 500
    asked: list[str] = field(default_factory=list)
    port: int = 0
    authority: Authority = field(default_factory=Authority)

    def __enter__(self) -> Self:
        self._stopped = threading.Event()
        self._server = HttpsServer(self.port, self.authority, self.respond, lambda: not self.faults.unreachable)
        services = {
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(self._server.server_port),
            "KUBERNETES_SERVICE_PORT_HTTPS": str(self._server.server_port),
        }
        self.kubelet = Kubelet(self.cluster, self.images, self.faults, services)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._server.close()
        self.kubelet.close()

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self._server.server_port}"

    def kubeconfig(self, *, user: Json | None = None, cluster: Json | None = None, namespace: str = "default") -> str:
        """A kubeconfig for this server, with its token unless another user is given. JSON is YAML, too."""
        data = base64.b64encode(self.authority.pem).decode()
        reached = {"server": self.address, "certificate-authority-data": data}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "here", "user": "me", "namespace": namespace}}],
            "clusters": [{"name": "here", "cluster": reached if cluster is None else cluster}],
            "users": [{"name": "me", "user": {"token": TOKEN} if user is None else user}],
        }
        return json.dumps(content, indent=2)

    def respond(self, http: HttpRequest) -> Answer | Stream:
        """The answer to a request.

        Raises:
            ConnectionCutError: there is none.
        """
        self.asked.append(http.path)
        if self.answer is not None:
            return Answer(*self.answer)
        try:
            return self._respond(http)
        except ApiError as error:
            return error_answer(error)

    def _respond(self, http: HttpRequest) -> Answer | Stream:
        parts = urlsplit(http.path)
        request = parse_request(http.method, parts.path, dict(parse_qsl(parts.query)))
        fault = self._fail(request)
        if http.who not in self.rights:
            raise ApiError(401, "Unauthorized")
        if request is None:
            if http.method == "GET" and (description := describe(parts.path)):
                return json_answer(description)
            raise ApiError(404, _UNKNOWN)
        self._require_right(request, http.who)
        answer = self._do(request, http)
        if fault is not None and fault.cut_after is None:
            raise ConnectionCutError
        if fault is not None and isinstance(answer, Stream):
            return replace(answer, cut_after=fault.cut_after)
        return answer

    def _fail(self, request: Request | None) -> RequestFault | None:
        """Have the fault that is ordered; gives one that comes only when the request is carried out."""
        if self.faults.unreachable:
            raise ConnectionCutError
        fault = self.faults.of_request(request) if request is not None else None
        if fault is None or fault.done or fault.cut_after is not None:
            return fault
        if fault.status == 0:
            raise ConnectionCutError
        wait = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        raise ApiError(fault.status, fault.message or _MESSAGES.get(fault.status, _ERROR), headers=wait)

    def _require_right(self, request: Request, who: str) -> None:
        if request.right in self.rights[who]:
            return
        verb, resource = request.right
        named = f'{request.resource} "{request.name}"' if request.name else request.resource
        group = SERVED[request.resource].group
        raise ApiError(
            403,
            f'{named} is forbidden: User "system:serviceaccount:airflow:test" cannot {verb} resource "{resource}" '
            f'in API group "{group}" in the namespace "{request.namespace}"',
        )

    def _do(self, request: Request, http: HttpRequest) -> Answer | Stream:
        if request.subresource == "log":
            lines = read_log(self.cluster, request, self.kubelet.log, self._stopped)
            return Answer(204, b"") if lines is None else Stream(lines, "text/plain")
        is_table = request.resource == PODS and is_table_wanted(http.accept)
        match request.verb:
            case "list":
                return self._list(request, is_table=is_table)
            case "watch":
                events = watch(self.cluster, request, self._stopped)
                return Stream(json_lines(table_events(events) if is_table else events))
            case "get":
                found = self.cluster.get(request.resource, request.namespace, request.name)
                if found is None:
                    raise not_found(request.resource, request.name)
                return json_answer(pod_table([found], {})) if is_table else self._object(request, found)
        if request.resource != PODS:
            raise ApiError(405, "the server does not allow this method on the requested resource")
        return self._change_pod(request, http.media_type, _parse(http.body))

    def _change_pod(self, request: Request, form: str, content: Any) -> Answer:
        match request.verb:
            case "create":
                pod = create_pod(self.cluster, request, content)
                self.kubelet.run(pod)
                return self._object(request, pod, status=201)
            case "delete":
                return self._object(request, delete_pod(self.cluster, request, content or {}))
            case "patch":
                return self._object(request, patch_pod(self.cluster, request, form, content))
        raise ApiError(405, "the server does not allow this method on the requested resource")

    def _list(self, request: Request, *, is_table: bool) -> Answer:
        found, version = self.cluster.snapshot(request.resource, request.namespace, request.query)
        begin = int(request.query.get("continue", "0"))
        end = begin + min(int(request.query.get("limit", "0")) or len(found), self.largest_page)
        more = {"continue": str(end), "remainingItemCount": len(found) - end} if end < len(found) else {}
        metadata = {"resourceVersion": str(version), **more}
        if is_table:
            return json_answer(pod_table(found[begin:end], metadata))
        resource = SERVED[request.resource]
        kind = f"{resource.kind}List"
        return json_answer(
            {"apiVersion": resource.version, "kind": kind, "metadata": metadata, "items": found[begin:end]}
        )

    def _object(self, request: Request, content: Json, *, status: int = 200) -> Answer:
        resource = SERVED[request.resource]
        return json_answer({"apiVersion": resource.version, "kind": resource.kind, **content}, status)


def _parse(body: bytes) -> Any:
    """The content of a body; None for an empty one.

    Raises:
        ApiError: 400, it is no JSON.
    """
    try:
        return json.loads(body) if body else None
    except ValueError as error:
        raise ApiError(400, f"couldn't get version/kind; json parse error: {error}") from error
