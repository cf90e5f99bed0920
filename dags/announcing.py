"""The task that announces changes of the version that serves, see `dags.tasks.announcing_task`.

A DAG that has moved traffic announces it in its last task, and the DAG `announce` what came another way. Each hands the
asset's own events to the verb `announce`, which says what is missing. Two that look at the very same moment may both
announce a change; the number of the entry is the same then.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from dags.steps import step
from dags.tasks.announcing_task import CHANGES, production

# The next roll-back must not wait for this one's announcement, which the DAG `announce` makes as well.
AT_ONCE_OR_LATER: dict[str, Any] = {"retries": 0, "execution_timeout": timedelta(seconds=60), "on_call": True}


def announcement(
    model: str, *, models: Sequence[str], task_id: str = "announce", grace: timedelta = timedelta(0), **more: Any
) -> Any:
    """The task that announces what has changed and was not announced yet.

    Args:
        model: its name, or a template that becomes it.
        models: the names that it can be.
        task_id: the task's name.
        grace: how old a change must be. The DAG that made it is given this time to announce it.
        more: what else the step or Airflow is to know of the task.
    """
    return step(
        "announce",
        key=None,
        form="{}",  # the task fills it in
        announcing={"model": model, "grace": grace},
        task_id=task_id,
        inlets=[production(each) for each in models],
        outlets=[CHANGES],
        doc_md="Emits an asset event when another version serves. The event has the journal entry and the version.",
        **{"execution_timeout": timedelta(minutes=5), **more},
    )
