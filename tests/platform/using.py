"""What a person does with the platform once it is up, and what is seen then: for tests/platform/test_compose.py."""

import base64
import json
import os
import re
import subprocess
import time
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from embedded.airflow_api import AirflowApi
from embedded.errors import AirflowError
from tests.platform.platform_processes import Platform

SERVERS = ("serving-1", "serving-2", "serving-3")
REQUESTS = 5
DAG = "retrain_digits"
RUN_NOTE = "SELECT content FROM dag_run_note"
RUN_COUNT = "SELECT count(*) FROM dag_run WHERE dag_id = 'retrain_digits'"
NOTE = "to see the platform work"
SOAK_SECONDS = 17


def use(platform: Platform, env: Mapping[str, str]) -> dict[str, Any]:
    """Retrain, ask the servers, and look at everything."""
    url = f"http://127.0.0.1:{platform.port('airflow-api-server', 8080)}"
    with AirflowApi(url, "admin", env["AIRFLOW_ADMIN_PASSWORD"]) as airflow:
        airflow.wait_for_dag(DAG, seconds=300)
        airflow.unpause(DAG)
        run = airflow.trigger(DAG, {"epochs": 6, "seed": 7}, note=NOTE)
        state = airflow.wait(DAG, run, seconds=500)
        logs = {task: airflow.log(DAG, run, task) for task in ("train", "evaluate")}
        # Somebody wants a smaller pool.
        airflow.set_pool("retrain", slots=1, description="one at a time")
    for server in SERVERS:
        ask(platform, server)
    found = {
        "run_state": state,
        "run_note": query(platform, env, RUN_NOTE),
        "logs": logs,
        "wrong_password": refused(url),
        "other_database": connect(platform, env["AIRFLOW_DB_PASSWORD"], user="airflow", to="mlflow", sql="SELECT 1"),
        "status": as_json(platform.run("understudy", "status", "--model", "digits", "--json")),
        "history": as_json(platform.run("understudy", "history", "--model", "digits", "--all", "--json")),
        "gateway": ask_gateway(platform, env["GATEWAY_KEY"]),
        **look_at_mlflow(platform, logs),
        **look_at_prometheus(platform),
    }
    # And a longer soak.
    change = ("--soak-seconds", str(SOAK_SECONDS), "--reason", "some faults need time")
    platform.run("understudy", "fleet", "set", "--model", "digits", *change)
    return found


def look_again(platform: Platform, env: Mapping[str, str]) -> dict[str, Any]:
    mlflow = f"http://127.0.0.1:{platform.port('mlflow', 5000)}"
    runs = query(platform, env, RUN_COUNT)
    return {
        "again": {server: ask(platform, server) for server in SERVERS},
        "fleet_again": as_json(platform.run("understudy", "fleet", "show", "--model", "digits", "--json")),
        "runs_again": (len(mlflow_runs(mlflow)), int(runs)),
        "slots_again": int(query(platform, env, "SELECT slots FROM slot_pool WHERE pool = 'retrain'")),
    }


def ask(platform: Platform, server: str) -> str:
    """The version behind the label, after a prediction for an image of the bucket."""
    url = f"http://127.0.0.1:{platform.port(server, 8501)}/v1/models/digits"
    body = {"instances": [{"b64": base64.b64encode(an_image(platform)).decode()}]}
    for _ in range(REQUESTS):
        httpx.post(f"{url}/labels/stable:predict", json=body, trust_env=False).raise_for_status()
    states = httpx.get(f"{url}/labels/stable", trust_env=False).raise_for_status().json()
    return str(states["model_version_status"][0]["version"])


def an_image(platform: Platform) -> bytes:
    """One of the bucket, as PNG."""
    return next((platform.volume("bucket") / "data" / "digits").glob("*.png")).read_bytes()


def ask_gateway(platform: Platform, key: str) -> dict[str, Any]:
    """What it answers for an image with a key, and the status of its answer without one."""
    url = f"http://127.0.0.1:{platform.port('gateway', 8090)}/v1/classify/digits?top=2"
    image, kind = an_image(platform), {"Content-Type": "image/png"}
    headers = {**kind, "Authorization": f"Bearer {key}"}
    answer = httpx.post(url, content=image, headers=headers, trust_env=False)
    refused = httpx.post(url, content=image, headers=kind, trust_env=False)
    return {"answer": answer.raise_for_status().json(), "without_key": refused.status_code}


def refused(url: str) -> str:
    with AirflowApi(url, "oncall", "not the password") as airflow, pytest.raises(AirflowError) as error:
        airflow.run_state(DAG, "any")
    return str(error.value)


def connect(platform: Platform, password: str, *, user: str, to: str, sql: str) -> str:
    """What psql prints, by TCP and with a password, as other containers connect."""
    where = ["--host=127.0.0.1", f"--port={platform.port('postgres', 5432)}", f"--username={user}", f"--dbname={to}"]
    how = ["--no-psqlrc", "--tuples-only", "--no-align", f"--command={sql}"]
    done = subprocess.run(
        ["psql", *where, *how],
        env={"PGPASSWORD": password, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() + done.stderr.strip()


def query(platform: Platform, env: Mapping[str, str], sql: str) -> str:
    return connect(platform, env["AIRFLOW_DB_PASSWORD"], user="airflow", to="airflow", sql=sql)


def as_json(output: str) -> Any:
    """What a verb prints, after its log."""
    return json.loads(output[output.index("{\n") :])


def mlflow_runs(mlflow: str) -> list[Mapping[str, Any]]:
    api = f"{mlflow}/api/2.0/mlflow"
    named = {"experiment_name": "digits"}
    experiment = httpx.get(f"{api}/experiments/get-by-name", params=named, trust_env=False).raise_for_status().json()
    body = {"experiment_ids": [experiment["experiment"]["experiment_id"]]}
    found = httpx.post(f"{api}/runs/search", json=body, trust_env=False).raise_for_status().json()
    runs: list[Mapping[str, Any]] = found.get("runs", [])
    return runs


def look_at_mlflow(platform: Platform, logs: Mapping[str, str]) -> dict[str, Any]:
    mlflow = f"http://127.0.0.1:{platform.port('mlflow', 5000)}"
    (run,) = mlflow_runs(mlflow)
    api, which = f"{mlflow}/api/2.0/mlflow/artifacts/list", {"run_id": run["info"]["run_id"]}
    listed = httpx.get(api, params=which, trust_env=False).raise_for_status().json()["files"]
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    links = re.findall(r"https?://[^\s)]+", f"{logs['train']} {tags['mlflow.note.content']}")
    names = ("mlflow:5000", "localhost:5000", "evil.example:5000")
    return {
        "mlflow_run": {**run["info"], "tags": tags},
        "artifacts": sorted(each["path"] for each in listed),
        "hosts": {name: httpx.get(mlflow, headers={"Host": name}, trust_env=False).status_code for name in names},
        "pages": {link: httpx.get(link, trust_env=False, follow_redirects=True).status_code for link in links},
    }


def look_at_prometheus(platform: Platform) -> dict[str, Any]:
    api = f"http://127.0.0.1:{platform.port('prometheus', 9090)}/api/v1"
    counter = ':tensorflow:serving:request_latency_count{entrypoint="REST", API=~"(?i)predict"}'
    wanted = {"query": f"sum by (instance) ({counter})"}
    for attempt in range(60):
        answer = httpx.get(f"{api}/query", params=wanted, trust_env=False).raise_for_status().json()
        requests = {each["metric"]["instance"]: float(each["value"][1]) for each in answer["data"]["result"]}
        # A server is read every few seconds.
        if requests == dict.fromkeys(SERVERS, REQUESTS) or attempt == 59:
            break
        time.sleep(1)
    targets = httpx.get(f"{api}/targets", trust_env=False).raise_for_status().json()["data"]["activeTargets"]
    return {"targets": {each["labels"]["instance"]: each["health"] for each in targets}, "requests": requests}
