"""What a pod with Workload Identity has: a metadata server that gives out access tokens, on a port of this machine.

Google's clients find it by GCE_METADATA_HOST. Nothing else about them changes, and no key exists.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

TOKEN = "ya29.a-token-of-the-pod"
PROJECT = "my-project"
ACCOUNT = "understudy-pipeline@my-project.iam.gserviceaccount.com"
_ACCOUNTS = "/computeMetadata/v1/instance/service-accounts"
_SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]


class _Metadata(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path != "/" and self.headers.get("Metadata-Flavor") != "Google":
            self._answer(403, "the header Metadata-Flavor: Google is missing")
        elif (found := self._value(path)) is not None:
            self._answer(200, found)
        else:
            self._answer(404, "not found")

    def _value(self, path: str) -> str | None:
        account = json.dumps({"aliases": ["default"], "email": ACCOUNT, "scopes": _SCOPES})
        return {
            "/": "computeMetadata/",
            "/computeMetadata/v1/project/project-id": PROJECT,
            f"{_ACCOUNTS}/default/": account,
            f"{_ACCOUNTS}/{ACCOUNT}/": account,
            f"{_ACCOUNTS}/default/token": _token(),
            f"{_ACCOUNTS}/{ACCOUNT}/token": _token(),
        }.get(path)

    def _answer(self, status: int, body: str) -> None:
        content = body.encode()
        self.send_response(status)
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("Content-Type", "application/json" if body.startswith("{") else "application/text")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


def _token() -> str:
    return json.dumps({"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})


@contextmanager
def metadata_server() -> Iterator[str]:
    """Its host and port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Metadata)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
