"""What the tasks that run verbs have in common, wherever a verb runs: its variables, and what becomes of its answer."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from dags.tasks.outcomes import KEY, outcome
from dags.tasks.task_messages import last_lines

log = logging.getLogger(__name__)


class VerbTask:
    """A verb whose exit code is an answer: 0 done, 99 skipped, anything else failed for good.

    A verb retries transient errors itself. So Airflow's retries are left for verbs that gave no answer: their worker or
    their pod was lost, or they were killed. Asked again, a verb finds in the bucket what its run has already done.

    Operators inherit from it, and from the operator of Airflow that starts the verb. Each sets `result` when the verb
    has ended, and calls `keep_answer` or `keep_failure`.

    Attributes:
        verb: what is run.
        result: what the verb has left, see `pipeline.result`; empty where it has left nothing.
        last_lines: what a person should read last; empty where the verb is done.
    """

    # What a verb that failed or could not tell raises; Airflow never retries after this one.
    failure: type[AirflowException] = AirflowFailException

    task_id: str

    def __init__(self, *, verb: str, **task: Any) -> None:
        super().__init__(**task)
        self.verb = verb
        self.result: Mapping[str, Any] = {}
        self.last_lines: Sequence[str] = ()

    def variables(self, context: Any) -> dict[str, str]:
        """The variables for the verb that only the run knows."""
        return {"UNDERSTUDY_RUN_URL": run_url(context)}

    def keep_answer(self, context: Any) -> None:
        """The verb is done."""
        self._keep_outcome(context)

    def keep_failure(self, context: Any, *, ended: str, again: bool = False) -> None:
        """The verb has declined or failed, or has given no answer.

        Args:
            context: Airflow's.
            ended: how the process ended, in words, for where it has left no result.
            again: whether Airflow may try the task again by itself.
        """
        self.last_lines = last_lines(self.verb, self.result, ended=ended, again=again)
        self._keep_outcome(context)

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
