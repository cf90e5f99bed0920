"""The client against a real HTTP server that answers as Airflow 3.3 does."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import pytest

from embedded.airflow_api import AirflowApi, Tasks
from embedded.errors import AirflowError
from embedded.settings import StackSettings

RUN = "manual__2026-01-02T03:04:05+00:00"
PATH = f"/api/v2/dags/retrain_digits/dagRuns/{RUN}"


class FakeAirflow(ThreadingHTTPServer):
    """Answers each request with the next of the answers kept for it; the last one is repeated."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, list[tuple[int, Any]]] = {"POST /auth/token": [(201, {"access_token": "t0ken"})]}
        self.requests: list[tuple[str, Any, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def answer(self) -> None:
        fake = self.server
        assert isinstance(fake, FakeAirflow)
        request = f"{self.command} {unquote(self.path)}"
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fake.requests.append((request, json.loads(body or "null"), self.headers["Authorization"]))
        known = fake.answers.get(request, [(404, {"detail": "not found"})])
        code, content = known.pop(0) if len(known) > 1 else known[0]
        encoded = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    do_GET = do_POST = do_PATCH = answer  # noqa: N815 - the names the base class calls

    def log_message(self, *words: Any) -> None:
        pass


@pytest.fixture
def fake() -> Iterator[FakeAirflow]:
    with FakeAirflow() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def api(fake: FakeAirflow) -> Iterator[AirflowApi]:
    with AirflowApi(fake.url, "admin", "secret") as client:
        yield client


def test_it_asks_for_one_token_and_uses_it(fake: FakeAirflow, api: AirflowApi) -> None:
    fake.answers[f"GET {PATH}"] = [(200, {"state": "running"})]

    assert api.run_state("retrain_digits", RUN) == "running"
    assert api.run_state("retrain_digits", RUN) == "running"
    assert [
        ("POST /auth/token", {"username": "admin", "password": "secret"}, None),
        (f"GET {PATH}", None, "Bearer t0ken"),
        (f"GET {PATH}", None, "Bearer t0ken"),
    ] == fake.requests


def test_trigger_sends_the_form_and_the_note(fake: FakeAirflow, api: AirflowApi) -> None:
    fake.answers["POST /api/v2/dags/rollback/dagRuns"] = [(200, {})]

    run_id = api.trigger("rollback", {"model": "digits", "reason": "slow"}, note="by the demo")

    assert run_id.startswith("manual__20")
    conf = {"model": "digits", "reason": "slow"}
    sent = {"dag_run_id": run_id, "logical_date": None, "conf": conf, "note": "by the demo"}
    assert sent == fake.requests[-1][1]


def test_a_run_whose_first_answer_was_lost_in_a_database_error_is_triggered_once(
    fake: FakeAirflow, api: AirflowApi
) -> None:
    """Airflow's audit log can wait for SQLite in the API server's own event loop until SQLite gives up."""
    fake.answers["POST /api/v2/dags/rollback/dagRuns"] = [(500, {"detail": "Database error"}), (409, {})]

    run_id = api.trigger("rollback", {})

    assert [run_id, run_id] == [body["dag_run_id"] for _, body, _ in fake.requests[-2:]]


def test_a_server_that_goes_on_with_errors_is_reported(fake: FakeAirflow, api: AirflowApi) -> None:
    fake.answers["POST /api/v2/dags/rollback/dagRuns"] = [(500, {"detail": "Database error"})]

    with pytest.raises(AirflowError, match="500"):
        api.trigger("rollback", {})


@pytest.mark.parametrize(("paused", "expected"), [(True, ["GET", "PATCH"]), (False, ["GET"])])
def test_only_a_dag_that_is_off_is_switched_on(
    fake: FakeAirflow, api: AirflowApi, paused: bool, expected: list[str]
) -> None:
    fake.answers["GET /api/v2/dags/rollback"] = [(200, {"is_paused": paused})]
    fake.answers["PATCH /api/v2/dags/rollback"] = [(200, {})]

    api.unpause("rollback")

    assert expected == [request.partition(" ")[0] for request, _, _ in fake.requests if "auth" not in request]


def test_wait_reports_every_change_and_ends_with_the_run(fake: FakeAirflow, api: AirflowApi) -> None:
    fake.answers[f"GET {PATH}"] = [(200, {"state": "running"}), (200, {"state": "running"}), (200, {"state": "failed"})]
    tasks = [[{"task_id": "train", "state": state}] for state in (None, None, "failed")]
    fake.answers[f"GET {PATH}/taskInstances"] = [(200, {"task_instances": each}) for each in tasks]
    seen: list[Tasks] = []

    state = api.wait("retrain_digits", RUN, seconds=10, on_change=seen.append, every=0)

    assert state == "failed"
    assert seen == [{"train": None}, {"train": "failed"}]


def test_wait_stops_after_its_time_with_the_states_of_the_tasks(fake: FakeAirflow, api: AirflowApi) -> None:
    fake.answers[f"GET {PATH}"] = [(200, {"state": "running"})]
    fake.answers[f"GET {PATH}/taskInstances"] = [(200, {"task_instances": [{"task_id": "train", "state": "queued"}]})]

    with pytest.raises(AirflowError, match=r"still running after 0 s: \{'train': 'queued'\}"):
        api.wait("retrain_digits", RUN, seconds=0)


def test_a_log_is_lines_of_text(fake: FakeAirflow, api: AirflowApi) -> None:
    content = {"content": [{"event": "one"}, {"event": "two", "timestamp": "now"}]}
    fake.answers[f"GET {PATH}/taskInstances/gate/logs/1"] = [(200, content)]

    assert api.log("retrain_digits", RUN, "gate") == "one\ntwo"


def test_a_refusal_has_airflows_own_message(fake: FakeAirflow, api: AirflowApi) -> None:
    words = {"detail": "Invalid input for param reason: No value passed"}
    fake.answers["POST /api/v2/dags/rollback/dagRuns"] = [(400, words)]

    with pytest.raises(AirflowError, match=r"400.*Invalid input for param reason"):
        api.trigger("rollback", {})


def test_a_missing_dag_is_reported_with_the_import_errors(fake: FakeAirflow, api: AirflowApi) -> None:
    errors = {"import_errors": [{"stack_trace": "models/digits.yaml: training.epochs: must be 1 or more"}]}
    fake.answers["GET /api/v2/importErrors"] = [(200, errors)]

    with pytest.raises(AirflowError, match=r"no DAG retrain_digits.*training\.epochs"):
        api.wait_for_dag("retrain_digits", seconds=0)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ((404, {}), ["GET", "POST"]),
        ((200, {"slots": 1, "description": "d", "include_deferred": False}), ["GET", "PATCH"]),
        ((200, {"slots": 2, "description": "d", "include_deferred": False, "open_slots": 2}), ["GET"]),
    ],
)
def test_a_pool_is_created_or_changed_or_left_unchanged(
    fake: FakeAirflow, api: AirflowApi, found: tuple[int, Any], expected: list[str]
) -> None:
    """A pool that is right is not written: a write at every start would wait for those of the scheduler."""
    fake.answers["GET /api/v2/pools/retrain"] = [found]
    fake.answers["PATCH /api/v2/pools/retrain"] = fake.answers["POST /api/v2/pools"] = [(200, {})]

    api.set_pool("retrain", slots=2, description="d")

    assert expected == [request.split()[0] for request, _, _ in fake.requests[1:]]


def test_an_airflow_that_does_not_answer_is_an_error_with_the_next_command(settings: StackSettings) -> None:
    with AirflowApi("http://127.0.0.1:1", "admin", "x") as api, pytest.raises(AirflowError, match="make status"):
        api.run_state("retrain_digits", RUN)
    with pytest.raises(AirflowError, match="make up"):
        AirflowApi.of_stack(settings)
