"""Programs of these tests run in processes of their own, because importing Airflow takes seconds and changes much."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

PROJECT = Path(__file__).resolve().parents[2]
_ANSWER = "answer.json"


@dataclass(frozen=True)
class Ended:
    """What a program has handed to `answer`, and everything that it has printed."""

    answer: Any
    log: str


def run(program: str, *words: str, home: Path, environment: Mapping[str, str]) -> Ended:
    """Run a program of this folder with an Airflow home of its own.

    Args:
        program: its name without the suffix.
        words: its arguments.
        home: a folder for Airflow.
        environment: all its variables, but for those of the home.
    """
    variables = {
        **environment,
        "PYTHONPATH": str(PROJECT),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
    }
    if "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_SECRET" not in variables:
        variables["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{home}/airflow.db"
    done = subprocess.run(
        [sys.executable, "-m", f"tests.google_cloud.{program}", *words],
        cwd=PROJECT,
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (
        f"{program} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-5000:]}"
    )
    return Ended(json.loads((home / _ANSWER).read_text()), done.stdout + done.stderr)


def answer(found: Any) -> NoReturn:
    """For such a program: hand over what it has found, and end. Its output belongs to the log.

    It ends at once: a thread of Google's client would go on for ten seconds to ask for a service that is not here.
    """
    (Path(os.environ["AIRFLOW_HOME"]) / _ANSWER).write_text(json.dumps(found))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
