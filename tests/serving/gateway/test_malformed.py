"""Thousands of malformed uploads over a few kept connections: faults F55 to F58 and F62.

Each has an answer, which is no 5xx, and the gateway's process does not grow.
"""

import base64
import http.client
import json
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import psutil
import pytest

from tests.hunts import hunt_cases
from tests.ports import free_port
from tests.serving.client.servers import eventually
from tests.serving.gateway.malformed import Upload, Uploads
from tests.serving.gateway.pictures import picture_servers, png

FEW, ALL = 300, 10_000
CONNECTIONS = 4
# Before the memory is measured for the first time: by then every module is loaded, and caches and pools are filled.
WARM_UP = 150
# What the process may grow by after that, however many uploads follow.
GROWTH_BYTES = 32 * 2**20
BODY_BYTES = 1_000_000


@dataclass(frozen=True)
class Process:
    port: int
    pid: int

    def memory(self) -> int:
        """Resident, in bytes."""
        return int(psutil.Process(self.pid).memory_info().rss)

    def classify(self) -> httpx.Response:
        """What is answered to a good image."""
        headers = {"Content-Type": "image/png"}
        return httpx.post(f"http://127.0.0.1:{self.port}/v1/classify/digits", content=png(255), headers=headers)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A gateway in a process of its own, with a real model server behind it."""
    with picture_servers(tmp_path_factory.mktemp("models")) as (address,):
        port = free_port()
        words = ["--model", f"digits={address}", "--port", str(port), "--body-bytes", str(BODY_BYTES)]
        started = subprocess.Popen(
            [sys.executable, "-m", "serving.gateway", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            eventually(lambda: started.poll() is not None or _listens(port))
            made = Process(port, started.pid)
            # The label is given out a moment after the server has begun to answer.
            eventually(lambda: made.classify().status_code == 200)
            yield made
        finally:
            started.kill()
            started.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("count", hunt_cases([FEW, ALL], in_make_test=[FEW]))
def test_malformed_uploads_end_without_a_5xx_and_without_memory_growth(count: int, process: Process) -> None:
    uploads = Uploads(seed=count)
    connections = [http.client.HTTPConnection("127.0.0.1", process.port, timeout=60) for _ in range(CONNECTIONS)]
    statuses: Counter[int] = Counter()
    before = 0
    for number in range(count):
        if number == WARM_UP:
            before = process.memory()
        upload = uploads.next()
        status = _status(connections[number % CONNECTIONS], upload)
        statuses[status] += 1

        assert status < 500, upload
    growth = process.memory() - before
    for connection in connections:
        connection.close()

    assert {200, 400, 415, 422} <= set(statuses), statuses
    assert growth < GROWTH_BYTES
    assert 200 == process.classify().status_code


def _status(connection: http.client.HTTPConnection, upload: Upload) -> int:
    """The status of the answer. The connection is kept, unless the answer says that it ends."""
    connection.request("POST", upload.path, upload.body, upload.headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status


HEAD = b"POST /v1/classify/digits HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n"
# With None any 4xx will do, or none.
TORN: dict[str, tuple[bytes, int | None]] = {
    "longer than it says": (HEAD + b"Content-Length: 4\r\n\r\n" + png(), None),
    "shorter than it says": (HEAD + b"Content-Length: 400000\r\n\r\n" + png(), None),
    "length is no number": (HEAD + b"Content-Length: 4a\r\n\r\n" + png(), 400),
    "length is negative": (HEAD + b"Content-Length: -1\r\n\r\n" + png(), 400),
    "two lengths": (HEAD + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\n" + png(), 400),
    "a length and chunks": (HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "chunk of no size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
    "chunk of a lying size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffff\r\n" + png(), None),
    "not HTTP": (b"\x16\x03\x01\x02\x00\x01", 400),
    "a header without an end": (HEAD + b"A: " + b"a" * 200_000, 400),
}


@pytest.mark.parametrize("case", TORN)
def test_a_request_with_a_lying_length_has_no_effect_on_the_next(case: str, process: Process) -> None:
    content, status = TORN[case]
    with socket.create_connection(("127.0.0.1", process.port), timeout=30) as connection:
        try:
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(65536)
        except OSError:  # it hung up on us before we had sent it all
            answer = b""

    expected = b"HTTP/1.1 4" if status is None else b"HTTP/1.1 %d " % status

    assert not answer or answer.startswith(expected), answer
    assert 200 == process.classify().status_code


def test_a_body_above_the_limit_is_413_before_it_is_read(process: Process) -> None:
    """Fault F55: only the head of the request is sent, and the answer comes."""
    for path in ("/v1/classify/digits", "/model/predict/", "/v1/models/digits:predict", "/v2/models/digits/infer"):
        kind = "multipart/form-data; boundary=b" if path == "/model/predict/" else "application/json"
        connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=30)
        connection.putrequest("POST", path)
        connection.putheader("Content-Type", kind)
        connection.putheader("Content-Length", str(BODY_BYTES + 1))
        connection.endheaders()
        answer = connection.getresponse()

        assert 413 == answer.status, path
        assert "close" == answer.headers["connection"]
        connection.close()


def test_a_chunked_body_above_the_limit_is_413_when_it_has_passed_it(process: Process) -> None:
    """Fault F55, of a body that does not say how long it is."""
    headers = {"Content-Type": "image/png"}
    parts = (bytes(100_000) for _ in range(15))
    try:
        answer = httpx.post(
            f"http://127.0.0.1:{process.port}/v1/classify/digits", content=parts, headers=headers, timeout=30
        )
    except httpx.WriteError:  # it hung up on us, which is all that it owes
        return

    assert 413 == answer.status_code


def test_a_name_that_utf8_has_no_bytes_for_is_no_fault(process: Process) -> None:
    """Half a surrogate pair is valid in JSON."""
    image = {"name": "\ud800\n", "content": base64.b64encode(png(255)).decode()}
    url = f"http://127.0.0.1:{process.port}/v1/classify/digits"
    answer = httpx.post(url, content=json.dumps({"images": [image]}), headers={"Content-Type": "application/json"})

    assert 200 == answer.status_code
    assert image["name"] == answer.json()["predictions"][0]["name"]


@pytest.mark.parametrize(
    "model", ["..%2Fdigits", "..", "%2e%2e%2f", "digits%00", "digits\\..", "DIGITS", "%F0%9F%98%80"]
)
def test_a_name_that_is_no_model_is_404_whatever_is_in_it(model: str, process: Process) -> None:
    """Fault F62."""
    for path in (f"/v1/classify/{model}", f"/v1/models/{model}:predict", f"/v2/models/{model}/infer"):
        connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=30)
        connection.request("POST", path, b"{}", {"Content-Type": "application/json"})
        answer = connection.getresponse()

        assert 404 == answer.status, path
        assert b'{"error":' in answer.read()
        connection.close()
