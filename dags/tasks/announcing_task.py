"""Airflow's asset `<model>/production`: an event for each change of the version that serves.

The extra of an event says which: `entry` is the number of the journal entry, `version` what serves since then (null
where nothing does), `at`, `event`, `run_key` and `by` are what the entry says.
"""

import json
from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, AssetAlias
from airflow.sdk.exceptions import AirflowException

from dags.tasks.verb_task import VerbTask

# Outlets by this name, so that a task may emit no event, or several, and for the model that a form says.
CHANGES = AssetAlias("changes of what serves")
# Of an asset's newest events; more changes than this are not waiting at a time.
_LOOKED_AT = 50


def production(model: str) -> Asset:
    return Asset(name=f"{model}/production", group="model")


class AnnouncingTask(VerbTask):
    """The verb `announce`: it is given what was announced already, and each change that it lists becomes an event.

    It may be repeated at any time, so a task that has retries tries again after any failure: otherwise a bucket that
    is away for seconds makes a good release red. The note of a DAG run mentions it only where it failed, see
    `dags/plugins/run_notes.py`.

    Attributes:
        model: its name; a template that operators render.
        grace: how old a change must be.
    """

    failure = AirflowException

    def __init__(self, *, model: str, grace: timedelta, **task: Any) -> None:
        super().__init__(**task)
        self.model = model
        self.grace = grace

    def variables(self, context: Any) -> dict[str, str]:
        events = context["inlet_events"][production(self.model)].ascending(False).limit(_LOOKED_AT)
        form = {"announced": [event.extra or {} for event in events], "grace_seconds": self.grace.total_seconds()}
        return super().variables(context) | {"UNDERSTUDY_MODEL": self.model, "UNDERSTUDY_PARAMS": json.dumps(form)}

    def keep_answer(self, context: Any) -> None:
        """Emit the events, and keep no outcome: nobody would read a value every two minutes."""
        if "changes" not in self.result:
            raise AirflowException(
                "`announce` succeeded, but its result could not be read, so no event was emitted: the temporary folder "
                "of the worker is full, or the pod was deleted at once. The next run of the DAG `announce` emits the "
                "event"
            )
        for change in self.result["changes"]:
            context["outlet_events"][CHANGES].add(production(self.model), extra=change)
