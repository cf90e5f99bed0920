"""A registry of images, as far as asking for digests goes: challenge, token, HEAD of a manifest, and its refusals."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TOKEN = "for anyone"


@dataclass
class Registry:
    """What it has, and how it answers.

    Attributes:
        manifests: the content of each NAME:TAG.
        names_digests: whether an answer has the header with the digest.
        busy: how many requests it refuses with 429 before it answers; with the header `retry_after`, if there is one.
        wants_login: it gives no token to someone without an account.
        asked: the requests for manifests that had a token.
    """

    port: int
    manifests: dict[str, bytes] = field(default_factory=dict)
    names_digests: bool = True
    busy: int = 0
    retry_after: str | None = "0"
    wants_login: bool = False
    asked: list[str] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def put(self, image: str, content: bytes) -> str:
        """Store the manifest of NAME:TAG; its digest."""
        self.manifests[image] = content
        return f"sha256:{hashlib.sha256(content).hexdigest()}"


class _Handler(BaseHTTPRequestHandler):
    registry: Registry

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        address = urlsplit(self.path)
        if address.path == "/token":
            return self._give_token(parse_qs(address.query))
        registry = self.registry
        name, _, tag = address.path.removeprefix("/v2/").rpartition("/manifests/")
        if self.headers.get("Authorization") != f"Bearer {TOKEN} {name}":
            kind = "Basic" if registry.wants_login else "Bearer"
            fields = f'realm="http://{registry.host}/token",service="tests",scope="repository:{name}:pull"'
            return self._send(401, {"WWW-Authenticate": f"{kind} {fields}"})
        registry.asked.append(f"{self.command} {name}:{tag}")
        if registry.busy:
            registry.busy -= 1
            return self._send(429, {} if registry.retry_after is None else {"Retry-After": registry.retry_after})
        content = registry.manifests.get(f"{name}:{tag}")
        if content is None:
            return self._send(404, {})
        assert "application/vnd.oci.image.index.v1+json" in self.headers["Accept"]
        digest = {"Docker-Content-Digest": f"sha256:{hashlib.sha256(content).hexdigest()}"}
        return self._send(200, digest if registry.names_digests else {}, content)

    def _give_token(self, query: dict[str, list[str]]) -> None:
        assert query["service"] == ["tests"]
        name = query["scope"][0].split(":")[1]
        self._send(200, {}, json.dumps({"token": f"{TOKEN} {name}"}).encode())

    def _send(self, code: int, headers: dict[str, str], content: bytes = b"") -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


@contextmanager
def registry() -> Iterator[Registry]:
    """A registry on a free port of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    made = Registry(server.server_port)
    server.RequestHandlerClass = type("Handler", (_Handler,), {"registry": made})
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
