"""Where the steps of a DAG run: what Airflow's environment says of it."""

import sys
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

Execution = Literal["local", "pod"]


class StepSettings(BaseSettings):
    """Airflow's environment, as far as it says how steps run.

    Attributes:
        python: the interpreter of the verbs, where Airflow has an environment of its own.
        execution: `local` for processes of the worker that runs the task, `pod` for pods.
        pods: the file that says how pods look, see `dags.tasks.pod_settings`.
        on_call_queue: the Celery queue of what people on call trigger; empty for the one of all tasks.
    """

    model_config = SettingsConfigDict(env_prefix="UNDERSTUDY_", frozen=True)

    python: str = sys.executable
    execution: Execution = "local"
    pods: Path | None = None
    on_call_queue: str = Field(default="", max_length=256)
