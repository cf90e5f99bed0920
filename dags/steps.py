"""One verb of the pipeline as one Airflow task. What it runs is the same everywhere; here it is a local process."""

import logging
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import CronTriggerTimetable
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from pydantic_settings import BaseSettings, SettingsConfigDict

from dags.outcomes import KEY, outcome
from dags.task_messages import last_lines
from pipeline import result

log = logging.getLogger(__name__)

PROJECT = Path(__file__).resolve().parent.parent

# A lost worker is tried once more, and not at once: while Airflow itself starts, its API may be silent for a minute.
RETRY = {"retries": 1, "retry_delay": timedelta(seconds=60)}


class StepSettings(BaseSettings):
    """`UNDERSTUDY_PYTHON` names the interpreter of the pipeline where Airflow has an environment of its own."""

    model_config = SettingsConfigDict(env_prefix="UNDERSTUDY_", frozen=True)

    python: str = sys.executable


class VerbOperator(BashOperator):  # type: ignore[misc]  # Airflow is untyped for us (pyproject.toml)
    """A command whose exit code is an answer: 0 done, 99 skipped, anything else failed for good.

    A verb retries transient errors itself. So Airflow's retries are left for lost workers and for verbs that were
    killed: those gave no answer.
    """

    # What a verb that failed or could not tell raises; Airflow never retries after this one.
    failure: type[AirflowException] = AirflowFailException

    def __init__(self, *, verb: str, **task: Any) -> None:
        super().__init__(**task)
        self.verb = verb
        self._result_file = Path()
        # What the verb has left, see `pipeline.result`; empty where it has left nothing.
        self.result: Mapping[str, Any] = {}
        self.last_lines: Sequence[str] = ()

    def get_env(self, context: Any) -> dict[str, str]:
        env: dict[str, str] = super().get_env(context)
        return env | {result.VARIABLE: str(self._result_file), "UNDERSTUDY_RUN_URL": run_url(context)}

    def execute(self, context: Any) -> Any:
        try:
            answer = self._run(context)
        except AirflowSkipException:
            self._keep_last_lines()
            self._keep_outcome(context)
            raise
        except AirflowException:
            self._keep_last_lines()
            self._keep_outcome(context)
            process = self.subprocess_hook.sub_process
            if process is not None and process.returncode < 0:  # ended by a signal
                raise
            raise self.failure(self.last_lines[0]) from None
        self._keep_outcome(context)
        return answer

    def _run(self, context: Any) -> Any:
        """Run the verb, and read what it leaves, however it ends."""
        with TemporaryDirectory() as folder:
            self._result_file = Path(folder) / "result.json"
            try:
                return super().execute(context)
            finally:
                self.result = result.read(self._result_file)

    def _keep_last_lines(self) -> None:
        process = self.subprocess_hook.sub_process
        ended = f"exit code {process.returncode}" if process is not None else "it did not start"
        self.last_lines = last_lines(self.verb, self.result, ended=ended)

    def _keep_outcome(self, context: Any) -> None:
        """For the note of the DAG run, see `dags/plugins/run_notes.py`; without it the task ends as it would."""
        ti = context.get("ti")
        if ti is None:
            return
        try:
            ti.xcom_push(key=KEY, value=outcome(self.task_id, self.result) | {"task": str(ti.id)})
        except Exception as error:  # noqa: BLE001 - whatever it is, the verb has answered
            log.warning("the note of this run will not say how `%s` ended: %r", self.task_id, error)


def log_last_lines(context: Any) -> None:
    """Airflow logs the exception of a task that failed; this comes after it.

    Airflow's page folds away what is logged after a task, so that group is closed first.
    """
    for line in ("::endgroup::", *getattr(context["task"], "last_lines", ())):
        log.info("%s", line)


def run_url(context: Any) -> str:
    """Where Airflow shows the DAG run of a task; empty where Airflow does not know its own address."""
    base, run = conf.get("api", "base_url", fallback=None), context.get("dag_run")
    return f"{base.rstrip('/')}/dags/{quote(run.dag_id)}/runs/{quote(run.run_id)}" if base and run else ""


def run_key(kind: str) -> str:
    """The name of one run, as a template that can only become `<kind>-` and digits."""
    return kind + '-{{ dag_run.run_after.strftime("%Y%m%d%H%M%S%f") }}'


def cron(schedule: str | None) -> CronTriggerTimetable | None:
    """When a DAG runs by itself, in UTC. It needs no start_date: with one, a DAG that is unpaused is due at once."""
    return CronTriggerTimetable(schedule, timezone="UTC") if schedule else None


def step(
    verb: str,
    *,
    key: str | None,
    form: str,
    words: Sequence[str] = (),
    operator: type[VerbOperator] = VerbOperator,
    **task: Any,
) -> VerbOperator:
    """The task that runs `python -m pipeline VERB --run KEY WORDS`, or `VERB WORDS` without a key.

    Args:
        verb: what to run; also the task's id unless `task_id` says otherwise.
        key: the run key, from `run_key`; None for a verb that is not part of a run.
        form: a template that becomes the run's form as one JSON object. It may hold anything a person typed, so it
            travels in the environment and is in no command.
        words: more words of the command line; never a template of something that a person typed.
        operator: the class of the task.
        task: what else Airflow is to know.
    """
    environment = {
        "UNDERSTUDY_PARAMS": form,
        "UNDERSTUDY_ACTOR": "{{ dag_run.triggering_user_name or 'schedule' }}",
        "UNDERSTUDY_SCHEDULED": "{{ 'false' if dag_run.triggering_user_name else 'true' }}",
        **task.pop("env", {}),
    }
    run = () if key is None else ("--run", key)
    return operator(
        verb=verb,
        bash_command=shlex.join([StepSettings().python, "-m", "pipeline", verb, *run, *words]),
        env=environment,
        append_env=True,
        cwd=str(PROJECT),
        do_xcom_push=False,  # it would be the last line of the log
        on_failure_callback=log_last_lines,
        on_skipped_callback=log_last_lines,
        **{"task_id": verb, "execution_timeout": timedelta(minutes=30), **RETRY, **task},
    )
