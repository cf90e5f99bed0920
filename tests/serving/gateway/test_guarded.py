"""A gateway as it is started, with API keys: what a client without one, a slow one and Prometheus see, and its end."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.gateway.__main__ import main
from serving.gateway.security.keys import Key, digest_of, new_key
from tests.ports import free_port
from tests.serving.gateway.http.test_server import eventually, everything, status_of

# Nothing listens on the port of the discard protocol, so the model is down.
NOBODY = "127.0.0.1:9"
CLASSIFY = "/v1/classify/digits"
BODY_BYTES = 100_000


@dataclass
class Gateway:
    """A process; its log and its errors go to files."""

    process: subprocess.Popen[bytes]
    port: int
    metrics_port: int
    key: str
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def with_key(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "out").read_text().splitlines()]

    def said(self, *parts: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as opened:
            for part in parts:
                opened.sendall(part)
            return everything(opened)


def started(folder: Path, *further: str) -> Gateway:
    key = new_key()
    (folder / "keys").write_text(Key(name="alice", digest=digest_of(key)).line() + "\n")
    port, metrics_port = free_port(), free_port()
    arguments = ["--model", f"digits={NOBODY}", "--port", str(port), "--metrics-port", str(metrics_port)]
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "serving.gateway", *arguments, "--keys", str(folder / "keys"), *further],
            stdout=out,
            stderr=err,
            env=os.environ,
        )
    gateway = Gateway(process, port, metrics_port, key, folder)
    eventually(lambda: listens(port))
    return gateway


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=30).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """In the end it is stopped as Kubernetes does it: it says that it is not ready, and ends by itself, with 0."""
    made = started(tmp_path_factory.mktemp("gateway"), "--body-bytes", str(BODY_BYTES), "--body-seconds", "0.2")
    yield made
    made.process.send_signal(signal.SIGTERM)
    unready = status_while_stopping(made)
    made.process.wait(20)
    assert unready in (503, None)
    assert made.process.returncode == 0
    assert "Traceback" not in (made.folder / "err").read_text()


def status_while_stopping(gateway: Gateway) -> int | None:
    """What /readyz says; None if the gateway has stopped already."""
    try:
        return httpx.get(f"{gateway.url}/readyz").status_code
    except httpx.TransportError:
        return None


@pytest.mark.parametrize("path", ["/metrics", "/fleet", "/v1/models/digits", "/v2", CLASSIFY, "/nowhere"])
def test_nothing_but_pages_and_probes_answers_without_a_key(gateway: Gateway, path: str) -> None:
    answer = httpx.get(gateway.url + path)

    assert (401, 'Bearer realm="understudy"') == (answer.status_code, answer.headers["www-authenticate"])
    assert "an API key is needed" in answer.json()["error"]
    assert "content-security-policy" in answer.headers


@pytest.mark.parametrize("path", ["/", "/docs", "/page/page.js", "/openapi.json", "/healthz"])
def test_pages_and_probes_do(gateway: Gateway, path: str) -> None:
    assert httpx.get(gateway.url + path).status_code == 200


def test_the_page_of_the_fleet_opens_without_a_key_and_its_content_does_not(gateway: Gateway) -> None:
    page = httpx.get(f"{gateway.url}/fleet", headers={"Accept": "text/html"})
    content = httpx.get(f"{gateway.url}/fleet", headers=gateway.with_key)

    assert (200, "text/html; charset=utf-8") == (page.status_code, page.headers["content-type"])
    assert [each["name"] for each in content.json()["models"]] == ["digits"]


def test_a_request_is_logged_with_the_name_of_its_key_and_never_the_key(gateway: Gateway) -> None:
    headers = {"X-API-Key": gateway.key, "X-Request-Id": "test-of-the-log", "Content-Type": "image/png"}
    answer = httpx.post(f"{gateway.url}{CLASSIFY}?key={gateway.key}", headers=headers, content=b"no image")
    eventually(lambda: any(line["request_id"] == "test-of-the-log" for line in gateway.lines()))
    (line,) = (line for line in gateway.lines() if line["request_id"] == "test-of-the-log")

    assert answer.headers["x-request-id"] == "test-of-the-log"
    assert (line["key"], line["model"], line["route"]) == ("alice", "digits", "/v1/classify/{model}")
    assert (line["status"], line["error"]) == (answer.status_code, answer.json()["error"])
    for name in ("out", "err"):
        assert gateway.key not in (gateway.folder / name).read_text()
    assert gateway.key not in httpx.get(f"http://127.0.0.1:{gateway.metrics_port}/metrics").text


def test_a_preflight_of_another_site_is_allowed_nothing(gateway: Gateway) -> None:
    asked = {
        "Origin": "https://example.org",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-api-key",
    }
    for headers in (asked, asked | gateway.with_key):
        answer = httpx.options(gateway.url + CLASSIFY, headers=headers)

        assert answer.status_code in (401, 405)
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_prometheus_needs_no_key_on_its_own_port(gateway: Gateway) -> None:
    httpx.get(f"{gateway.url}/healthz")
    page = httpx.get(f"http://127.0.0.1:{gateway.metrics_port}/metrics")
    keyed = httpx.get(f"{gateway.url}/metrics", headers=gateway.with_key)
    expected = 'understudy_gateway_requests_total{code="200",model="",route="/healthz",version=""}'

    assert expected in page.text
    assert expected in keyed.text
    assert page.headers["content-type"] == keyed.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'understudy_gateway_images_limit{model="digits"}' in page.text
    assert httpx.get(f"http://127.0.0.1:{gateway.metrics_port}/fleet").status_code == 404


@pytest.mark.parametrize("ending", ["", "Connection: close\r\n"])
def test_a_body_beyond_the_limit_is_413_before_it_comes(gateway: Gateway, ending: str) -> None:
    """F55: only the head is sent, and the answer is there."""
    head = (
        f"POST {CLASSIFY} HTTP/1.1\r\nHost: a\r\nX-API-Key: {gateway.key}\r\nContent-Type: image/png\r\n"
        f"Content-Length: {BODY_BYTES + 1}\r\n{ending}\r\n"
    )

    assert status_of(gateway.said(head.encode())) == 413


def test_a_client_that_sends_the_whole_body_first_reads_the_413(gateway: Gateway) -> None:
    content = b"x" * 5_000_000
    headers = {**gateway.with_key, "Content-Type": "image/png"}

    assert httpx.post(gateway.url + CLASSIFY, headers=headers, content=content).status_code == 413


def test_a_body_that_comes_too_slowly_is_408(gateway: Gateway) -> None:
    """F59: and the connection is closed."""
    head = (
        f"POST {CLASSIFY} HTTP/1.1\r\nHost: a\r\nX-API-Key: {gateway.key}\r\nContent-Type: image/png\r\n"
        "Content-Length: 1000\r\n\r\n"
    )
    said = gateway.said(head.encode(), b"some of it")

    assert status_of(said) == 408
    assert b"connection: close" in said.lower()


def test_without_a_key_a_body_is_not_waited_for(gateway: Gateway) -> None:
    said = gateway.said(
        f"POST {CLASSIFY} HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\nConnection: close\r\n\r\n".encode()
    )

    assert status_of(said) in (401, 429)


def test_a_new_key_is_valid_within_seconds_and_is_revoked_as_soon(gateway: Gateway) -> None:
    keys = gateway.folder / "keys"
    before, key = keys.read_text(), new_key()
    keys.write_text(before + Key(name="bob", digest=digest_of(key)).line() + "\n")
    eventually(lambda: status_with(gateway, key) == 200)
    keys.write_text(before)

    eventually(lambda: status_with(gateway, key) in (401, 429))
    assert status_with(gateway, gateway.key) == 200


def status_with(gateway: Gateway, key: str) -> int:
    return httpx.get(f"{gateway.url}/fleet", headers={"X-API-Key": key}).status_code


@pytest.mark.parametrize(("text", "reason"), [(None, "No such file"), ("alice secret\n", "line 1")])
def test_a_gateway_does_not_start_with_keys_it_cannot_read(
    tmp_path: Path, text: str | None, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        (tmp_path / "keys").write_text(text)

    assert main(["--model", f"digits={NOBODY}", "--keys", str(tmp_path / "keys")]) == 2
    said = capsys.readouterr().err
    assert reason in said
    assert "secret" not in said


def test_a_port_that_is_taken_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        assert main(["--model", f"digits={NOBODY}", "--port", str(port)]) == 1
    assert f"error: 127.0.0.1:{port} cannot be listened on: Address already in use" in capsys.readouterr().err


def test_metrics_cannot_have_the_gateway_s_port(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", f"digits={NOBODY}", "--port", "9001", "--metrics-port", "9001"]) == 2
    assert "--metrics-port 9001" in capsys.readouterr().err
