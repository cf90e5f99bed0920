"""Airflow's asset `<model>/production`: an event for each change of the version that serves.

The extra of an event says which: `entry` is the number of the journal entry, `version` what serves since then (null
where nothing does), `at`, `event`, `run_key` and `by` are what the entry says.

A DAG that has moved traffic announces it in its last task, and the DAG `announce` what came another way. Each finds in
the asset's own events what was announced already. Two that look at the very same moment may both announce a change; the
number of the entry is the same then.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, AssetAlias, task

from pipeline.settings import load_settings

# Outlets by this name, so that a task may emit no event, or several, and for the model that a form says.
CHANGES = AssetAlias("changes of what serves")
# The next roll-back must not wait for this one's announcement, which the DAG `announce` makes as well.
AT_ONCE_OR_LATER: dict[str, Any] = {"retries": 0, "execution_timeout": timedelta(seconds=60)}
# Of an asset's newest events; more changes than this are not waiting at a time.
_LOOKED_AT = 50


def production(model: str) -> Asset:
    return Asset(name=f"{model}/production", group="model")


def announcement(
    model: str, *, models: Sequence[str], task_id: str = "announce", grace: timedelta = timedelta(0), **more: Any
) -> Any:
    """The task that announces what has changed and was not announced yet.

    Args:
        model: its name, or a template that becomes it.
        models: the names that it can be.
        task_id: the task's name.
        grace: how old a change must be. The DAG that made it is given this time to announce it.
        more: what else Airflow is to know of the task.
    """

    @task(  # type: ignore[untyped-decorator]  # Airflow is untyped for us (pyproject.toml)
        task_id=task_id,
        inlets=[production(each) for each in models],
        outlets=[CHANGES],
        doc_md="Emits an asset event when another version serves. The event has the journal entry and the version.",
        **{"execution_timeout": timedelta(minutes=5), **more},
    )
    def announce(model: str, *, inlet_events: Any, outlet_events: Any) -> None:
        # Inside, because reading a DAG file needs none of it.
        from pipeline.context import make_run_context  # noqa: PLC0415
        from pipeline.journal.announcements import extra_of, unannounced  # noqa: PLC0415

        context = make_run_context(load_settings(), model=model, run_key="announce-0")
        asset = production(model)
        events = inlet_events[asset].ascending(False).limit(_LOOKED_AT)
        announced = [event.extra for event in events]
        for change in unannounced(context.journal.read(), announced, until=context.clock.now() - grace):
            outlet_events[CHANGES].add(asset, extra=extra_of(change))

    return announce(model)
