"""Airflow runs in processes of its own: importing it takes seconds, and its warnings are not ours to answer for."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.once import once
from tests.processes.acting import fork_server

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent
PODS = """\
namespace: understudy
image: registry.example/understudy-pipeline:1
imagePullPolicy: IfNotPresent
imagePullSecrets: [{name: registry}]
serviceAccountName: understudy-pipeline
automountServiceAccountToken: true
env:
  - {name: AWS_ENDPOINT_URL, value: "http://minio:9000"}
  - {name: UNDERSTUDY_TLS_CA, value: /keys/ca.pem}
  - {name: SHAPE, value: "{{ conn.nope }} $(AWS_ENDPOINT_URL)"}
  - {name: AWS_SECRET_ACCESS_KEY, valueFrom: {secretKeyRef: {name: minio, key: secret}}}
envFrom: [{configMapRef: {name: understudy}}]
volumes: [{name: models, configMap: {name: models}}]
volumeMounts: [{name: models, mountPath: /opt/understudy/models, readOnly: true}]
resources: {requests: {cpu: 250m, memory: 1Gi}, limits: {memory: 1Gi}}
priorityClassName: batch
labels: {app.kubernetes.io/instance: understudy}
annotations: {example.com/team: vision, example.com/shape: "{{ conn.nope }} $(ann)"}
startSeconds: 300
verbs:
  train:
    image: registry.example/understudy-pipeline:1-gpu
    resources: {limits: {nvidia.com/gpu: 1, memory: 8Gi}}
    nodeSelector: {cloud.google.com/gke-accelerator: nvidia-l4}
    tolerations: [{key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}]
    startSeconds: 1200
    retries: 3
  evaluate:
    volumes: [{name: big, emptyDir: {medium: Memory}}]
    volumeMounts: [{name: big, mountPath: /tmp}]
  announce: {execution: local}
  pin: {execution: pod}
"""
PLAIN = "value-of-a-plain-variable"
PLAYED_PODS = f"""\
namespace: understudy
image: registry.example/understudy-pipeline:1
serviceAccountName: understudy-pipeline
env:
  - {{name: AWS_SECRET_ACCESS_KEY, valueFrom: {{secretKeyRef: {{name: minio, key: key}}}}}}
  - {{name: PLAIN, value: {PLAIN}}}
"""


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, one with schedules and one without; and two files that cannot be used."""
    folder = tmp_path_factory.mktemp("models")
    digits = (PROJECT / "models" / "digits.yaml").read_text(encoding="utf-8")
    (folder / "digits.yaml").write_text(digits, encoding="utf-8")
    letters = digits.replace("name: digits", "name: letters").replace('schedule: "0 3 * * 1"', "schedule: null")
    letters += "\nretention: {schedule: null}\n"
    (folder / "letters.yaml").write_text(letters, encoding="utf-8")
    broken = digits.replace("name: digits", "name: broken").replace('"0 3 * * 1"', "every day")
    (folder / "broken.yaml").write_text(broken, encoding="utf-8")
    (folder / "my cats & dogs.yaml").write_text("name: [", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory, models: Path) -> dict[str, str]:
    """An Airflow home of its own, and nothing of a stack that may be running on this machine."""
    home = tmp_path_factory.mktemp("airflow")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "UNDERSTUDY"))}
    return {
        **inherited,
        "PYTHONPATH": str(PROJECT),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "dags" / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__API__BASE_URL": "http://127.0.0.1:8080/airflow/",
        "UNDERSTUDY_MODELS": str(models),
    }


def run_script(name: str, *words: str, environment: dict[str, str]) -> Any:
    """What a script beside this file prints as the last line of its standard output, read as JSON."""
    return run_and_log(name, *words, environment=environment)[0]


def run_and_log(name: str, *words: str, environment: dict[str, str]) -> tuple[Any, list[str]]:
    """The same, and the lines that it has printed before."""
    done = subprocess.run(
        [sys.executable, str(HERE / name), *words],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{name} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    *log, last = done.stdout.splitlines()
    return json.loads(last), log


@pytest.fixture(scope="session")
def described(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Every DAG as Airflow itself reads the folder; see describe.py."""
    return once(tmp_path_factory, "described", lambda: run_script("describe.py", environment=environment))


@pytest.fixture(scope="session")
def pods_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every field that a file of pods may have."""
    path = tmp_path_factory.mktemp("pods") / "pods.yaml"
    path.write_text(PODS, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def in_pods(environment: dict[str, str], pods_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Every DAG as Airflow reads it where steps are pods; see render.py."""
    of_pods = {"UNDERSTUDY_EXECUTION": "pod", "UNDERSTUDY_PODS": str(pods_file), "UNDERSTUDY_ROOT": "gs://models/here"}
    here = {
        "UNDERSTUDY_TLS_CA": "/etc/here.pem",
        "UNDERSTUDY_ON_CALL_QUEUE": "on-call",
        "UNDERSTUDY_GATEWAY_KEY": "understudy_hidden",
    }
    like_a_template = {"UNDERSTUDY_TLS_SERVER_NAME": "{{conn.nope}}.$(ann)"}
    rendered = environment | of_pods | here | like_a_template
    return once(tmp_path_factory, "in_pods", lambda: run_script("render.py", environment=rendered))


@pytest.fixture(scope="session")
def played(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Every case of play.py, run by a real Airflow with a program in the place of the verbs."""

    def play() -> Any:
        return run_script("play.py", environment=faked(environment, tmp_path_factory.mktemp("played")))

    return once(tmp_path_factory, "played", play)


@pytest.fixture(scope="session")
def played_in_pods(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Every case of play_pods.py: the same with pods."""

    def play() -> Any:
        folder = tmp_path_factory.mktemp("played_in_pods")
        return run_script("play_pods.py", environment=in_cluster(faked(environment, folder), folder))

    return once(tmp_path_factory, "played_in_pods", play)


def faked(environment: dict[str, str], folder: Path) -> dict[str, str]:
    """The environment of an Airflow of its own that plays DAGs with a fake pipeline."""
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HERE / "fake_pipeline.py"}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    (folder / "bucket").mkdir()
    faked = environment | {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db",
        "UNDERSTUDY_PYTHON": str(python),
        "UNDERSTUDY_ROOT": str(folder / "bucket"),
        "FAKE_PYTHON": str(python),
        "FAKE_CALLS": str(folder / "calls.jsonl"),
        "FAKE_FORK_SERVER": fork_server(),
    }
    migrate = [shutil.which("airflow", path=str(Path(sys.executable).parent)) or "airflow", "db", "migrate"]
    subprocess.run(migrate, env=faked, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return faked


def in_cluster(environment: dict[str, str], folder: Path) -> dict[str, str]:
    """The same for an Airflow whose steps are pods of the cluster that KUBECONFIG names."""
    pods = folder / "pods.yaml"
    pods.write_text(PLAYED_PODS, encoding="utf-8")
    return environment | {
        "UNDERSTUDY_EXECUTION": "pod",
        "UNDERSTUDY_PODS": str(pods),
        "KUBECONFIG": str(folder / "kubeconfig"),
    }
