"""A server that speaks the part of the Tsuru API that finds units: `GET /1.0/apps/<app>` with a token.

.venv/bin/python -m tests.tsuru_api --port 8444 digits=127.0.0.1,127.0.0.2
"""

import argparse
import json
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

TOKEN = "secret-of-the-test"


def unit(name: str, *, ip: str, process: str = "web", status: str = "started", **more: object) -> dict[str, Any]:
    """A unit of a Kubernetes cluster, with the fields that Tsuru gives for one."""
    return {
        "ID": name,
        "Name": name,
        "AppName": "digits",
        "ProcessName": process,
        "Type": "",
        "IP": "10.1.0.1",
        "InternalIP": ip,
        "Status": status,
        "StatusReason": "",
        "Address": None,
        "Addresses": None,
        "Version": 1,
        "Routable": True,
        "Restarts": 0,
        "CreatedAt": "2026-11-29T08:00:00Z",
        "Ready": status == "started",
        "HostAddr": "",
        "HostPort": "",
        **more,
    }


@dataclass
class TsuruApi:
    """Serves on 127.0.0.1.

    Attributes:
        apps: the units by app; they may change.
        answer: what it answers instead, to every request; None for what Tsuru does.
        asked: the paths that were asked for.
        port: where to listen; 0 for a free port.
    """

    apps: Mapping[str, Sequence[Mapping[str, Any]]]
    answer: tuple[int, bytes] | None = None
    asked: list[str] = field(default_factory=list)
    port: int = 0

    def __enter__(self) -> Self:
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                api.asked.append(self.path)
                status, content = api.answer or api.respond(self.path, self.headers.get("Authorization", ""))
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Write nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
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
    def target(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def respond(self, path: str, authorization: str) -> tuple[int, bytes]:
        if authorization != f"bearer {TOKEN}":
            return 401, b"You must provide a valid Authorization header\n"
        app = path.removeprefix("/1.0/apps/")
        if app not in self.apps:
            return 404, f"App {app} not found.\n".encode()
        return 200, json.dumps({"name": app, "pool": "models", "units": list(self.apps[app]) or None}).encode()


def _entry(text: str) -> tuple[str, list[dict[str, Any]]]:
    app, _, addresses = text.partition("=")
    return app, [unit(f"{app}-web-{n}", ip=ip) for n, ip in enumerate(addresses.split(","), start=1) if ip]


def main() -> None:
    parser = argparse.ArgumentParser(description="Answer as a Tsuru API does, on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=8444)
    parser.add_argument("entries", nargs="+", type=_entry, metavar="app=address,address")
    words = parser.parse_args()
    with suppress(KeyboardInterrupt), TsuruApi(dict(words.entries), port=words.port):
        threading.Event().wait()


if __name__ == "__main__":
    main()
