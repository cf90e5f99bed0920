"""The bench of the gateway: its load, its requests and its rows; and all of it, too short for real figures."""

import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from PIL import Image

from bench.gateway import growth, overload, requests
from bench.gateway.http_load import NO_ANSWER, HttpLoad, Outcome
from bench.gateway.pets import SIZES, photograph
from bench.serving.load import Target
from bench.serving.processes import BenchError
from tests.hunts import hunt

ROOT = Path(__file__).parents[2]
SLOW_SECONDS = 0.3


class Handler(BaseHTTPRequestHandler):
    """What a path asks for: to be slow, to refuse, to close the connection, or to hang up without an answer."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/hang-up":
            self.close_connection = True
            return
        if self.path == "/slow":
            time.sleep(SLOW_SECONDS)
        self.send_response(503 if self.path == "/refuse" else 200)
        if self.path == "/close":
            self.send_header("Connection", "close")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def load() -> Iterator[HttpLoad]:
    with HttpLoad() as process:
        yield process


def request(number: int) -> bytes:
    path = ("/ok", "/refuse", "/close", "/hang-up")[number % 4]
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx".encode()


def test_requests_are_sent_when_they_are_due_whether_or_not_answers_come(load: HttpLoad, port: int) -> None:
    """One connection would need 3 s for ten answers; each of these waits for its own answer only."""
    begun = time.monotonic()
    outcomes = load.offer(Target(port=port, path="/slow", body=b"x", rest=True), rate=50.0, seconds=0.2)
    seconds = time.monotonic() - begun

    assert [200] * 10 == [each.status for each in outcomes]
    assert all(each.latency >= SLOW_SECONDS for each in outcomes)
    assert seconds < 10 * SLOW_SECONDS


def test_answers_are_counted_by_status_and_a_lost_connection_is_replaced(load: HttpLoad, port: int) -> None:
    statuses = load.flood(port, request, first=0, count=40, at_once=4)

    assert {200: 20, 503: 10, NO_ANSWER: 10} == statuses


def test_the_photographs_have_a_photographs_size_and_are_the_same_each_time() -> None:
    assert photograph(3) == photograph(3) != photograph(4)
    for number, size in enumerate(SIZES):
        with Image.open(io.BytesIO(photograph(number))) as image:
            assert ("JPEG", size, "RGB") == (image.format, image.size, image.mode)


@pytest.mark.parametrize("make", [requests.good, requests.malformed])
def test_no_two_requests_are_alike_and_each_is_whole(make: Any) -> None:
    made = [make(number) for number in range(60)]
    heads = [each.partition(b"\r\n\r\n") for each in made]

    assert len(made) == len(set(made))
    assert all(f"Content-Length: {len(body)}".encode() in head for head, _, body in heads)


def outcomes(count: int, *, latency: float, status: int = 200) -> list[Outcome]:
    return [Outcome(latency, status)] * count


def test_only_admitted_requests_count_for_the_time_and_all_for_the_shares() -> None:
    busy = [*outcomes(100, latency=0.05), *outcomes(98, latency=9.0, status=503), *outcomes(2, latency=9.0, status=504)]
    rows = overload.rows([overload.Round(100.0, outcomes(20, latency=0.02), busy, seconds=1.0)])

    assert [2.5, 0.49, 1.0, 2] == pytest.approx([row.value for row in rows])
    assert ["met", "", "", "missed"] == [row.verdict for row in rows]
    assert "504: 2" in rows[-1].note


def test_an_overload_without_answers_cannot_be_measured() -> None:
    with pytest.raises(BenchError, match="1 of 4 requests"):
        overload.p99([*outcomes(1, latency=1.0), *outcomes(3, latency=1.0, status=503)])


def test_memory_is_judged_by_its_size_and_by_its_growth() -> None:
    rows = growth.memory_rows("good", count=100, before=100.0, after=110.0)

    assert ["met", "missed"] == [row.verdict for row in rows]


def test_an_unknown_part_is_refused_by_its_name() -> None:
    command = [sys.executable, "-m", "bench.gateway", "latencies"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert 2 == done.returncode
    assert "there is no part 'latencies', only latency, throughput" in done.stderr


@hunt
@pytest.mark.timeout(300)
def test_every_part_but_others_has_its_rows(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.gateway", "--rounds=1", "--seconds=0.5", "--requests=300"]
    report = tmp_path / "report.json"
    done = subprocess.run(
        [*command, f"--cache={tmp_path}", f"--json={report}"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    rows = json.loads(report.read_text())["rows"]
    assert 4 == len({row["figure"] for row in rows})
    assert [] == [row for row in rows if row["verdict"] == "not measured"]
