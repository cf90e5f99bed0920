"""The environment variables of every process of the stack: for the Procfile, Airflow and its tasks, and the verbs.

They say nothing about a fleet: the stack has several, and each verb reads the record of its model's fleet.
"""

import json
import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from embedded.settings import PROJECT, StackSettings
from pipeline.deployment import Deployment

# A process belongs to a stack if this variable has the folder of the stack as its value, whatever its session is.
STACK_VARIABLE = "UNDERSTUDY_STACK"
# The name of the process in the Procfile, inherited by the processes that it starts.
PROCESS_VARIABLE = "UNDERSTUDY_PROCESS"

# Two of the four worker slots stay free of retrains, so that a rollback never queues behind training.
PARALLELISM = 4
RETRAIN_SLOTS = 2

# How often a model server reads what it should serve.
POLL_SECONDS = 1

# The variables that describe one fleet or name one model. They may be set for another use where the stack is started.
_DEPLOYMENT = frozenset(f"UNDERSTUDY_{name.upper()}" for name in Deployment.model_fields)
_OF_ONE_MODEL = _DEPLOYMENT | {
    f"UNDERSTUDY_{name}"
    for name in (
        "MODEL",
        "REPLICAS",
        "EXPECTED_REPLICAS",
        "TLS_CA",
        "TLS_SERVER_NAME",
        "MODELS_SERVED",
        "REPLICA_PORTS",
    )
}


def stack_environment(settings: StackSettings) -> dict[str, str]:
    """The caller's environment, with all variables of this stack. Creates Airflow's signing key if there is none.

    Raises:
        OSError: the key cannot be read or written.
    """
    binaries = str(Path(sys.executable).parent)
    return {
        **{name: value for name, value in os.environ.items() if name not in _OF_ONE_MODEL},
        "PATH": os.pathsep.join([binaries, os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": str(PROJECT),
        "PYTHONUNBUFFERED": "1",
        STACK_VARIABLE: str(settings.var),
        # Keeps setproctitle from writing long titles over the environment that the kernel shows: it has the variable.
        "SPT_NOENV": "1",
        "DO_NOT_TRACK": "true",
        # No proxy for requests to processes on this machine.
        **dict.fromkeys(("no_proxy", "NO_PROXY"), _no_proxy()),
        **_understudy(settings),
        **_airflow(settings),
        **_mlflow(),
    }


def supervisor_environment(settings: StackSettings) -> dict[str, str]:
    """The variables of the supervisor: those of the stack, and all settings, so that it needs no file.

    Raises:
        OSError: Airflow's signing key cannot be read or written.
    """
    return stack_environment(settings) | {
        "UNDERSTUDY_ROLLOUT": settings.rollout,
        "UNDERSTUDY_MODELS_SERVED": json.dumps(settings.models_served or ()),
        "UNDERSTUDY_REPLICA_PORTS": json.dumps(settings.replica_ports),
    }


def first_record_environment(settings: StackSettings) -> dict[str, str]:
    """The variables of `understudy init`: those of the stack, and the caller's time limits for the first record."""
    return {name: value for name, value in os.environ.items() if name in _DEPLOYMENT} | stack_environment(settings)


def _no_proxy() -> str:
    current = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    return ",".join([*filter(None, [current]), "127.0.0.1", "localhost"])


def _understudy(settings: StackSettings) -> dict[str, str]:
    return {
        "UNDERSTUDY_VAR": str(settings.var),
        "UNDERSTUDY_ROOT": str(settings.bucket),
        "UNDERSTUDY_MODELS": str(settings.models),
        "UNDERSTUDY_AIRFLOW_PORT": str(settings.airflow_port),
        "UNDERSTUDY_SERVING_PORTS": ",".join(str(port) for port in settings.serving_ports),
        "UNDERSTUDY_BOOT_SECONDS": str(settings.boot_seconds),
        "UNDERSTUDY_CACHE": str(settings.cache_folder),
        "UNDERSTUDY_MLFLOW_PORT": str(settings.mlflow_port),
        "UNDERSTUDY_GATEWAY_PORT": str(settings.gateway_port),
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "1"),
    }


def _airflow(settings: StackSettings) -> dict[str, str]:
    return {
        "AIRFLOW_HOME": str(settings.var / "airflow"),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(settings.airflow_port),
        "AIRFLOW__API__BASE_URL": settings.airflow_url,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{settings.airflow_url}/execution/",
        "AIRFLOW__API_AUTH__JWT_SECRET": jwt_secret(settings),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": str(PARALLELISM),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        # The plugin that writes the notes of DAG runs.
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "dags" / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,oncall:op",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(settings.passwords),
        # SQLite lets one process write at a time. The default timeout of five seconds is too short while the scheduler
        # cleans up runs of an earlier stack: requests would be answered with 500.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{settings.var}/airflow/airflow.db?timeout=30",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        # A task that starts while the API server restarts retries for about 90 s before it fails. The default is a few
        # seconds, and the server takes 30.
        "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "20",
        "AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "10",
    }


def _mlflow() -> dict[str, str]:
    return {
        # The job runner needs another 1.2 GB and ten seconds, and nothing here uses it.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def jwt_secret(settings: StackSettings) -> str:
    """The key that all Airflow processes sign tokens with: created once, readable by this user only.

    Raises:
        OSError: it cannot be read or written.
    """
    path = settings.run / "jwt-secret"
    if not path.exists():
        # Atomic: a process that is killed here leaves no empty key, and two at once read the same key.
        with NamedTemporaryFile("w", encoding="ascii", dir=settings.run, prefix="jwt-secret-") as prepared:
            prepared.write(secrets.token_hex(64))
            prepared.flush()
            with suppress(FileExistsError):
                os.link(prepared.name, path)
    return path.read_text(encoding="ascii")
