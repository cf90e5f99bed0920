"""Each request is watched: its id, its line, its metrics, and the errors that nobody handled."""

import asyncio
import io
import json
import logging
import os
import re
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from serving.gateway.http.asgi import Receive, Scope, Send, send_body
from serving.gateway.observation.access_log import AccessLog
from serving.gateway.observation.facts import facts_of
from serving.gateway.observation.metrics import Metrics
from serving.gateway.observation.metrics_port import MetricsPort
from serving.gateway.observation.middleware import Observation
from tests.serving.gateway.asking import Recorded, ask


class Watched:
    def __init__(self, app: Any) -> None:
        self.stream = io.StringIO()
        self.metrics = Metrics(["digits"])
        self.app = Observation(app, metrics=self.metrics, access_log=AccessLog(self.stream))

    @property
    def record(self) -> dict[str, Any]:
        (line,) = self.stream.getvalue().splitlines()
        return dict(json.loads(line))

    def counted(self, labels: str) -> bool:
        return f"understudy_gateway_requests_total{{{labels}}} 1.0" in self.metrics.page().decode()


class Route:
    path = "/v1/classify/{model}"


def failing(error: BaseException, *, begun: bool = False) -> Any:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise error

    return fails


def test_what_a_route_notes_is_in_the_line_and_the_metrics() -> None:
    def note(scope: Scope) -> None:
        scope["route"] = Route()
        facts = facts_of(scope)
        facts.model, facts.version, facts.replica, facts.images = "digits", 3, "127.0.0.1:8500", 2

    watched = Watched(Recorded(act=note))
    ask(watched.app, method="POST", body=(b"abc", b"de"))
    record = watched.record

    assert ("digits", 3, "127.0.0.1:8500", 2) == tuple(
        record[name] for name in ("model", "version", "replica", "images")
    )
    assert (Route.path, 200, 5) == (record["route"], record["status"], record["bytes_in"])
    assert watched.counted(f'code="200",model="digits",route="{Route.path}",version="3"')


def test_the_answer_says_who_answered() -> None:
    async def answers(scope: Scope, receive: Receive, send: Send) -> None:
        scope["path_params"] = {"model": "digits"}
        headers = [(b"x-model-version", b"3"), (b"x-replica", b"127.0.0.1:8500")]
        await send_body(send, 200, b"", content_type=b"text/plain", headers=headers)

    watched = Watched(answers)
    ask(watched.app)

    assert ("digits", 3, "127.0.0.1:8500") == tuple(watched.record[name] for name in ("model", "version", "replica"))


def test_one_id_is_in_the_reply_and_the_log() -> None:
    watched = Watched(Recorded())
    offered = ask(watched.app, headers={"X-Request-Id": "6a2f41a3-c54c"})

    assert offered.headers["x-request-id"] == watched.record["request_id"] == "6a2f41a3-c54c"
    assert re.fullmatch("[0-9a-f]{32}", ask(watched.app, headers={"X-Request-Id": "no id"}).headers["x-request-id"])


def test_an_error_nobody_handled_is_500_with_its_id_and_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    watched = Watched(failing(ValueError("secret\nforged line")))
    reply = ask(watched.app)
    (logged,) = caplog.records
    identity = reply.headers["x-request-id"]

    assert reply.status == watched.record["status"] == 500
    assert identity in json.loads(reply.body)["error"]
    assert b"secret" not in reply.body
    assert logged.levelno == logging.ERROR
    assert "\n" not in logged.getMessage()
    assert json.loads(logged.getMessage())["request_id"] == identity
    assert "ValueError: secret" in json.loads(logged.getMessage())["traceback"]


def test_half_an_answer_gets_no_second_one(caplog: pytest.LogCaptureFixture) -> None:
    assert ask(Watched(failing(ValueError(), begun=True)).app).body == b""
    assert len(caplog.records) == 1


def test_a_client_that_went_away_is_499_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    watched = Watched(failing(ClientDisconnect()))
    ask(watched.app)

    assert watched.record["status"] == 499
    assert caplog.records == []


def test_who_is_interrupted_by_the_end_of_the_gateway_is_told_so() -> None:
    reply = ask(Watched(failing(asyncio.CancelledError())).app)

    assert reply.status == 503
    assert "stopping" in json.loads(reply.body)["error"]


def test_nothing_stays_in_flight() -> None:
    for app in (Recorded(), failing(ValueError()), failing(ClientDisconnect())):
        watched = Watched(app)
        ask(watched.app)

        assert b"understudy_gateway_requests_in_flight 0.0" in watched.metrics.page()


def test_a_request_is_answered_although_nobody_reads_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """...which is said once."""
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w")
    app = Observation(Recorded(), metrics=Metrics([]), access_log=AccessLog(stream))

    assert [200, 200] == [ask(app).status for _ in range(2)]
    (record,) = caplog.records
    assert "the access log cannot be written (Broken pipe)" in record.getMessage()
    with pytest.raises(BrokenPipeError):
        stream.close()


def test_neither_a_query_nor_a_header_is_logged() -> None:
    watched = Watched(Recorded())
    ask(watched.app, headers={"X-API-Key": "understudy_x"}, query_string=b"key=understudy_x")

    assert "understudy_x" not in watched.stream.getvalue()


def test_facts_without_a_middleware_go_nowhere() -> None:
    app = Recorded(act=lambda scope: setattr(facts_of(scope), "model", "digits"))

    assert ask(app).status == 200


@pytest.mark.parametrize(
    ("port", "method", "path", "status"),
    [(1, "GET", "/metrics", 204), (9, "GET", "/metrics", 200), (9, "GET", "/v1", 404), (9, "POST", "/metrics", 405)],
)
def test_the_metrics_port_has_only_metrics(port: int, method: str, path: str, status: int) -> None:
    async def gateway(scope: Scope, receive: Receive, send: Send) -> None:
        await send_body(send, 204, b"", content_type=b"text/plain")

    app = MetricsPort(gateway, metrics=Metrics([]), port=9)

    assert status == ask(app, path, method=method, server=("127.0.0.1", port)).status
