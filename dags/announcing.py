"""Airflow's asset `<model>/production`: an event for each change of the version that serves.

The extra of an event says which: `entry` is the number of the journal entry, `version` what serves since then (null
where nothing does), `at`, `event`, `run_key` and `by` are what the entry says.

A DAG that has moved traffic announces it in its last task, and the DAG `announce` what came another way. Each hands the
asset's own events to the verb `announce`, which says what is missing. Two that look at the very same moment may both
announce a change; the number of the entry is the same then.
"""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, AssetAlias
from airflow.sdk.exceptions import AirflowException

from dags.steps import VerbOperator, step

# Outlets by this name, so that a task may emit no event, or several, and for the model that a form says.
CHANGES = AssetAlias("changes of what serves")
# The next roll-back must not wait for this one's announcement, which the DAG `announce` makes as well.
AT_ONCE_OR_LATER: dict[str, Any] = {"retries": 0, "execution_timeout": timedelta(seconds=60)}
# Of an asset's newest events; more changes than this are not waiting at a time.
_LOOKED_AT = 50


def production(model: str) -> Asset:
    return Asset(name=f"{model}/production", group="model")


class AnnounceOperator(VerbOperator):
    """The verb `announce`: it is given what was announced already, and each change that it lists becomes an event.

    It may be repeated at any time, so a task that has retries tries again after any failure: otherwise a bucket that
    is away for seconds makes a good release red. The note of a DAG run mentions it only where it failed, see
    `dags/plugins/run_notes.py`.
    """

    failure = AirflowException

    template_fields: Sequence[str] = (*VerbOperator.template_fields, "model")

    def __init__(self, *, model: str, grace: timedelta, **task: Any) -> None:
        super().__init__(**task)
        self.model = model
        self.grace = grace

    def get_env(self, context: Any) -> dict[str, str]:
        events = context["inlet_events"][production(self.model)].ascending(False).limit(_LOOKED_AT)
        form = {"announced": [event.extra or {} for event in events], "grace_seconds": self.grace.total_seconds()}
        return super().get_env(context) | {"UNDERSTUDY_MODEL": self.model, "UNDERSTUDY_PARAMS": json.dumps(form)}

    def execute(self, context: Any) -> None:
        super().execute(context)
        if "changes" not in self.result:
            raise AirflowException(
                "`announce` succeeded, but its result could not be read, so no event was emitted. Check for free space "
                "in the temporary folder. The next run of the DAG `announce` emits the event"
            )
        for change in self.result["changes"]:
            context["outlet_events"][CHANGES].add(production(self.model), extra=change)

    def _keep_outcome(self, context: Any) -> None:
        """Only a failure: else the DAG `announce` would keep a value every two minutes that nobody reads."""
        if self.result.get("outcome") != "done":
            super()._keep_outcome(context)


def announcement(
    model: str, *, models: Sequence[str], task_id: str = "announce", grace: timedelta = timedelta(0), **more: Any
) -> VerbOperator:
    """The task that announces what has changed and was not announced yet.

    Args:
        model: its name, or a template that becomes it.
        models: the names that it can be.
        task_id: the task's name.
        grace: how old a change must be. The DAG that made it is given this time to announce it.
        more: what else Airflow is to know of the task.
    """
    return step(
        "announce",
        key=None,
        form="{}",  # the operator fills it in
        operator=AnnounceOperator,
        model=model,
        grace=grace,
        task_id=task_id,
        inlets=[production(each) for each in models],
        outlets=[CHANGES],
        doc_md="Emits an asset event when another version serves. The event has the journal entry and the version.",
        **{"execution_timeout": timedelta(minutes=5), **more},
    )
