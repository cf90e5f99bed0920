"""A verb as a process of the worker that runs the task."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk.exceptions import AirflowException, AirflowSkipException, AirflowTaskTimeout

from dags.tasks.announcing_task import AnnouncingTask
from dags.tasks.step_settings import StepSettings
from dags.tasks.task_messages import TOO_LONG
from dags.tasks.verb_task import VerbTask
from pipeline import result

_PROJECT = Path(__file__).resolve().parent.parent


class VerbOperator(VerbTask, BashOperator):  # type: ignore[misc]  # Airflow is untyped for us (pyproject.toml)
    """A command in Airflow's own environment; see `VerbTask` for what its exit code means.

    Args:
        words: the words of the command, after the interpreter.
        environment: variables beside those of Airflow; templates.
    """

    def __init__(self, *, words: Sequence[str], environment: Mapping[str, str], **task: Any) -> None:
        super().__init__(
            bash_command=shlex.join([StepSettings().python, *words]),
            env=dict(environment),
            append_env=True,
            cwd=str(_PROJECT),
            do_xcom_push=False,  # it would be the last line of the log
            **task,
        )
        self._result_file = Path()

    def get_env(self, context: Any) -> dict[str, str]:
        env: dict[str, str] = super().get_env(context)
        return env | self.variables(context) | {result.VARIABLE: str(self._result_file)}

    def execute(self, context: Any) -> None:
        try:
            self._run(context)
        except AirflowSkipException:
            self.keep_failure(context, ended=self._ended())
            raise
        except AirflowTaskTimeout:
            self.keep_failure(context, ended=TOO_LONG, again=True)
            raise
        except AirflowException:
            killed = self._exit_code < 0
            self.keep_failure(context, ended=self._ended(), again=killed)
            if killed:
                raise
            raise self.failure(self.last_lines[0]) from None
        self.keep_answer(context)

    def _run(self, context: Any) -> None:
        """Run the verb, and read what it leaves, however it ends."""
        with TemporaryDirectory() as folder:
            self._result_file = Path(folder) / "result.json"
            try:
                super().execute(context)
            finally:
                self.result = result.read(self._result_file)

    @property
    def _exit_code(self) -> int:
        """Of the process; negative is the signal that has ended it. 127, as of a shell, where it did not start."""
        process = self.subprocess_hook.sub_process
        return 127 if process is None else int(process.returncode)

    def _ended(self) -> str:
        return "it did not start" if self.subprocess_hook.sub_process is None else f"exit code {self._exit_code}"


class AnnounceOperator(AnnouncingTask, VerbOperator):
    """The verb `announce` as such a process."""

    template_fields: Sequence[str] = (*VerbOperator.template_fields, "model")

    def __init__(self, **task: Any) -> None:
        super().__init__(**task)  # Airflow wants an operator to have a constructor of its own
