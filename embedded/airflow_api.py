"""A small client of Airflow's REST API: trigger DAG runs, wait for them, read logs, create pools."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import httpx

from embedded.errors import AirflowError
from embedded.settings import StackSettings

FINISHED = frozenset({"success", "failed"})
Tasks = dict[str, str | None]
# Airflow writes its audit log in the event loop of the API server. On SQLite that write can wait for a transaction that
# needs the same loop to end, until SQLite gives up after 30 s: then the answer is 500, and nothing was done. So every
# request of this client may be repeated.
_ATTEMPTS = 3


@dataclass
class AirflowApi:
    """The API as one user. Every method raises AirflowError if Airflow refuses a request or does not answer in 60 s."""

    url: str
    username: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        # No proxy from the environment: this Airflow runs on the same machine.
        self._http = httpx.Client(base_url=self.url, timeout=60, trust_env=False)
        self._token: str | None = None

    @classmethod
    def of_stack(cls, settings: StackSettings, username: str = "admin") -> Self:
        """The Airflow of a stack, with the password that it generated for `username` at its first start.

        Raises:
            AirflowError: there is no file of passwords yet, or it does not have this user.
        """
        return cls(settings.airflow_url, username, _password(settings.passwords, username))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def wait_for_dag(self, dag_id: str, *, seconds: float = 120) -> None:
        """Wait until Airflow has read the DAG.

        Raises:
            AirflowError: it has not after so many seconds; the message has Airflow's import errors.
        """
        deadline = time.monotonic() + seconds
        while not self._exists(dag_id):
            if time.monotonic() > deadline:
                problems = [each["stack_trace"] for each in self._call("GET", "/api/v2/importErrors")["import_errors"]]
                raise AirflowError(f"no DAG {dag_id} after {seconds:.0f} s; {'; '.join(problems) or 'no import error'}")
            time.sleep(1)

    def unpause(self, dag_id: str) -> None:
        """Switch a DAG on. One that is on is not written again."""
        if self._call("GET", f"/api/v2/dags/{dag_id}")["is_paused"]:
            self._call("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})

    def trigger(self, dag_id: str, conf: dict[str, Any], *, note: str | None = None) -> str:
        """Start a run with these values of its form; return the id of the run."""
        run_id = f"manual__{datetime.now(UTC).isoformat()}"
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf, "note": note}
        answer = self._send("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)
        if answer.status_code != httpx.codes.CONFLICT:  # a first attempt that answered with an error has created it
            _checked(answer)
        return run_id

    def run_state(self, dag_id: str, run_id: str) -> str:
        return str(self._call("GET", _run(dag_id, run_id))["state"])

    def task_states(self, dag_id: str, run_id: str) -> Tasks:
        """The state of each task; None for a task that is not scheduled yet."""
        answer = self._call("GET", f"{_run(dag_id, run_id)}/taskInstances")
        return {each["task_id"]: each["state"] for each in answer["task_instances"]}

    def wait(
        self,
        dag_id: str,
        run_id: str,
        *,
        seconds: float,
        on_change: Callable[[Tasks], None] | None = None,
        every: float = 1.0,
    ) -> str:
        """Wait until the run has ended, and return `success` or `failed`.

        Args:
            dag_id: the DAG.
            run_id: the run.
            seconds: how long to wait at most.
            on_change: called with the states of all tasks after each change.
            every: the seconds between two requests.

        Raises:
            AirflowError: the run has not ended after so many seconds.
        """
        deadline = time.monotonic() + seconds
        seen: Tasks = {}
        while True:
            state = self.run_state(dag_id, run_id)
            tasks = self.task_states(dag_id, run_id)
            if on_change and tasks != seen:
                on_change(tasks)
                seen = tasks
            if state in FINISHED:
                return state
            if time.monotonic() > deadline:
                raise AirflowError(f"run {run_id} of {dag_id} is still {state} after {seconds:.0f} s: {tasks}")
            time.sleep(every)

    def log(self, dag_id: str, run_id: str, task_id: str, *, attempt: int = 1) -> str:
        """The log of a task, one line for each event."""
        answer = self._call("GET", f"{_run(dag_id, run_id)}/taskInstances/{task_id}/logs/{attempt}")
        return "\n".join(str(each["event"] if isinstance(each, dict) else each) for each in answer["content"])

    def set_pool(self, name: str, *, slots: int, description: str) -> None:
        """Create the pool, or change it if it differs. A pool that is right is not written again."""
        pool = {"slots": slots, "description": description, "include_deferred": False}
        answer = self._send("GET", f"/api/v2/pools/{name}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            self._call("POST", "/api/v2/pools", {"name": name, **pool})
        elif not pool.items() <= _checked(answer).json().items():
            self._call("PATCH", f"/api/v2/pools/{name}", {"pool": name, **pool})

    def _exists(self, dag_id: str) -> bool:
        answer = self._send("GET", f"/api/v2/dags/{dag_id}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return False
        _checked(answer)
        return True

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer: dict[str, Any] = _checked(self._send(method, path, body)).json()
        return answer

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        if self._token is None:
            credentials = {"username": self.username, "password": self.password}
            self._token = str(_checked(self._request("POST", "/auth/token", credentials)).json()["access_token"])
        return self._request(method, path, body)

    def _request(self, method: str, path: str, body: dict[str, Any] | None) -> httpx.Response:
        headers = {"Accept": "application/json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            for _ in range(_ATTEMPTS):
                answer = self._http.request(method, path, json=body, headers=headers)
                if answer.status_code != httpx.codes.INTERNAL_SERVER_ERROR:
                    break
        except httpx.HTTPError as error:
            raise AirflowError(f"{method} {self.url}{path}: {error!r}; is the stack up (make status)?") from error
        return answer


def _run(dag_id: str, run_id: str) -> str:
    # A run id has colons and a plus sign.
    return f"/api/v2/dags/{dag_id}/dagRuns/{httpx.URL('/').copy_with(path='/' + run_id).raw_path.decode()[1:]}"


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    request = answer.request
    raise AirflowError(f"{request.method} {request.url}: Airflow answers {answer.status_code}: {answer.text[:500]}")


def _password(path: Path, username: str) -> str:
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))[username])
    except FileNotFoundError as error:
        raise AirflowError(f"no passwords in {path}: Airflow writes them at its first start (make up)") from error
    except KeyError as error:
        raise AirflowError(f"{path} has no user {username!r}") from error
