"""An object store for one bucket in memory: as much of Google Cloud Storage's JSON API as verbs use here.

    python -m bench.journal.google FOLDER PORT SECONDS

Begins with the files of a folder, and answers each call so many seconds after it came. The store of the tests looks
through all its objects for each call, which takes it seconds if there are 50,000; here each call takes as long
however many there are, as it does at Google's. `GET /calls` is the number of calls so far, and is none itself.
"""

import base64
import bisect
import http.client
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c

from tests.object_storage import VARIABLE, wait_until_it_listens
from tests.ports import free_port

HOST = "127.0.0.1"
ROOT = "gs://bucket-of-bench"
_PAGE = 1000
_OBJECT = re.compile(r"(?:/download)?/storage/v1/b/[^/]+/o/(.+)")

Reply = tuple[int, bytes]


class Store:
    """Objects by their names. Each has the generation 1, because nothing is replaced here."""

    def __init__(self, folder: Path) -> None:
        self._lock = Lock()
        files = (path for path in folder.rglob("*") if path.is_file())
        self._objects = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
        self._names = sorted(self._objects)

    def get(self, name: str, *, media: bool) -> Reply:
        if name not in self._objects:
            return 404, b"{}"
        return 200, self._objects[name] if media else json.dumps(self._described(name)).encode()

    def create(self, name: str, content: bytes) -> Reply:
        with self._lock:
            if name in self._objects:
                return 412, b"{}"
            self._objects[name] = content
            bisect.insort(self._names, name)
        return 200, json.dumps(self._described(name)).encode()

    def listed(self, prefix: str, offset: str, delimiter: str) -> Reply:
        """A page of names and folders; as at Google's, an offset is also where the next page begins."""
        with self._lock:
            at = bisect.bisect_left(self._names, max(prefix, offset))
            names: list[str] = []
            folders: list[str] = []
            while at < len(self._names) and self._names[at].startswith(prefix):
                name = self._names[at]
                if len(names) + len(folders) == _PAGE:
                    return self._page(names, folders, name)
                folder, found, _ = name[len(prefix) :].partition(delimiter or "\0")
                if found:
                    folders.append(f"{prefix}{folder}/")
                    at = bisect.bisect_left(self._names, f"{prefix}{folder}{chr(ord('/') + 1)}")
                else:
                    names.append(name)
                    at += 1
            return self._page(names, folders, None)

    def _page(self, names: list[str], folders: list[str], following: str | None) -> Reply:
        page: dict[str, Any] = {"items": [self._described(name) for name in names], "prefixes": folders}
        return 200, json.dumps(page | ({"nextPageToken": following} if following else {})).encode()

    def _described(self, name: str) -> dict[str, str]:
        content = self._objects[name]
        crc32c = base64.b64encode(google_crc32c.value(content).to_bytes(4, "big")).decode()
        return {"name": name, "generation": "1", "size": str(len(content)), "crc32c": crc32c}


def handler_of(store: Store, seconds: float) -> type[BaseHTTPRequestHandler]:
    calls: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            began, url = time.monotonic(), urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            if url.path == "/calls":
                self._answer(began - seconds, (200, json.dumps(len(calls)).encode()))
                return
            calls.append(self.path)
            found = _OBJECT.fullmatch(url.path)
            if found:
                self._answer(began, store.get(unquote(found[1]), media=query.get("alt") == "media"))
            else:
                offset = max(query.get("pageToken", ""), query.get("startOffset", ""))
                self._answer(began, store.listed(query.get("prefix", ""), offset, query.get("delimiter", "")))

        def do_POST(self) -> None:
            """An upload: the description and the content, each a part of one body."""
            began = time.monotonic()
            calls.append(self.path)
            body = self.rfile.read(int(self.headers["Content-Length"]))
            boundary = re.findall(r'boundary="?([^";]+)', self.headers["Content-Type"])[0].encode()
            _, described, content, _ = body.split(b"--" + boundary)
            name = json.loads(described.partition(b"\r\n\r\n")[2])["name"]
            self._answer(began, store.create(name, content.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")))

        def _answer(self, began: float, reply: Reply) -> None:
            time.sleep(max(0.0, began + seconds - time.monotonic()))
            status, body = reply
            self.send_response_only(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


@dataclass(frozen=True)
class Served:
    """A store that runs, as this process sees it."""

    port: int

    def calls(self) -> int:
        connection = http.client.HTTPConnection(HOST, self.port)
        try:
            connection.request("GET", "/calls")
            return int(connection.getresponse().read())
        finally:
            connection.close()

    def env(self) -> dict[str, str]:
        return {VARIABLE: f"http://{HOST}:{self.port}"}


@contextmanager
def served(folder: Path, *, seconds: float) -> Iterator[Served]:
    """A store that begins with the files of a folder, in a process of its own."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "bench.journal.google", str(folder), str(port), str(seconds)])
    try:
        wait_until_it_listens(process, port)
        yield Served(port)
    finally:
        process.kill()
        process.wait(10)


def main() -> None:
    folder, port, seconds = sys.argv[1:]
    store = Store(Path(folder))
    ThreadingHTTPServer((HOST, int(port)), handler_of(store, float(seconds))).serve_forever()


if __name__ == "__main__":
    main()
