"""A server of files for the tests of downloads, on a port of this machine."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Answer(NamedTuple):
    """What the server says. `announced` is the length in its header, None for the true one."""

    content: bytes = b""
    status: int = 200
    announced: int | None = None
    location: str = ""


class FileServer:
    """Answers each request for a path with the next of its answers; the last one stays."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[str] = []

    def next(self, path: str) -> Answer:
        self.asked.append(path)
        answers = self.answers.get(path, [Answer(status=404)])
        return answers.pop(0) if len(answers) > 1 else answers[0]


@contextmanager
def file_server() -> Iterator[FileServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = files.next(self.path)
            self.send_response(answer.status)
            self.send_header(
                "Content-Length", str(len(answer.content) if answer.announced is None else answer.announced)
            )
            if answer.location:
                self.send_header("Location", answer.location)
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - of the base class
            """Nothing: the output of tests is for tests."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        files = FileServer(server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield files
        finally:
            server.shutdown()
            thread.join()
