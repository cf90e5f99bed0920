"""A plugin of Airflow: when a DAG run ends, its note says what was decided, why, and what serves.

Each verb leaves one sentence in the XCom `dags.tasks.outcomes.KEY` of its task. Airflow calls the two methods below
where the end of a run is noticed: in the scheduler, or in the API server when a person sets the state. They read these
sentences and write the note in the transaction in which the state of the run is written. They need no account and no
password.
A note that a person has typed stays, above what is written here; when the run ends again, only the latter is replaced.

A note that cannot be written is logged and changes nothing: everything happens within a savepoint of that transaction.
This file depends on nothing but Airflow, so that a scheduler needs no more than a copy of it.
"""

import logging
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

log = logging.getLogger(__name__)

KEY = "understudy_outcome"
# Of the column and of Airflow's API.
_LONGEST = 1000
# The classes of the tasks that run verbs, as Airflow stores them: as processes, and as pods.
_OPERATORS = ("VerbOperator", "PodVerbOperator", "GkeVerbOperator")
# Those of the tasks `announce`, which decide nothing: a note mentions only those that failed.
_ANNOUNCERS = ("AnnounceOperator", "PodAnnounceOperator", "GkeAnnounceOperator")
# How often a note is read again that a person changes at this very moment.
_ATTEMPTS = 3
# What this plugin has written, and nothing that a person may have typed around it.
_OURS = re.compile(r"\n*^\*\*Outcome: .*\*\*\n(?:\n- .*)+\n\n\*Understudy, [-0-9]+ [0-9:]+ UTC\*$", re.MULTILINE)


class RunNotes:
    """What Airflow calls. Neither method raises."""

    @hookimpl  # type: ignore[untyped-decorator]  # Airflow is untyped for us (pyproject.toml)
    def on_dag_run_success(self, dag_run: Any) -> None:
        _write_down(dag_run)

    @hookimpl  # type: ignore[untyped-decorator]
    def on_dag_run_failed(self, dag_run: Any) -> None:
        _write_down(dag_run)


class RunNotesPlugin(AirflowPlugin):  # type: ignore[misc]
    name = "understudy_run_notes"
    listeners = [RunNotes()]  # noqa: RUF012 - Airflow's interface


def _write_down(dag_run: Any) -> None:
    try:
        from airflow.utils.session import create_session  # noqa: PLC0415 - workers load plugins, too, without these
        from sqlalchemy import inspect  # noqa: PLC0415
        from sqlalchemy.orm import object_session  # noqa: PLC0415

        session = object_session(dag_run)
        if session is None:
            with create_session() as own:  # as in `airflow dags test`, where nothing else is written at that time
                _write(own.connection(), dag_run)
            return
        loaded = "dag_run_note" not in inspect(dag_run).unloaded
        if loaded:
            session.flush()  # the API server may have changed the note just before
        _write(session.connection(), dag_run)
        if loaded:
            session.expire(dag_run.dag_run_note or dag_run, None if dag_run.dag_run_note else ["dag_run_note"])
    except Exception:
        log.exception("the note of DAG run %s of %s could not be written", dag_run.run_id, dag_run.dag_id)


def _write(connection: Any, dag_run: Any) -> None:
    from sqlalchemy.exc import IntegrityError  # noqa: PLC0415

    for _ in range(_ATTEMPTS):
        try:
            # Of the connection: a savepoint of the session looks like a commit to the scheduler, which forbids it.
            with connection.begin_nested():
                _lock(connection, dag_run)
                if _swap(connection, dag_run):
                    return
        except IntegrityError:
            continue  # somebody has added a note since it was read
    log.warning(
        "the outcome was not added to the note of DAG run %s of %s: a person is editing the note. The logs of the "
        "tasks have it",
        dag_run.run_id,
        dag_run.dag_id,
    )


def _lock(connection: Any, dag_run: Any) -> None:
    """Write before anything is read: SQLite refuses a write at once if anybody has written since the first read."""
    from airflow.models.dagrun import DagRun  # noqa: PLC0415
    from sqlalchemy import update  # noqa: PLC0415

    connection.execute(update(DagRun).where(DagRun.id == dag_run.id).values(id=DagRun.id))


def _swap(connection: Any, dag_run: Any) -> bool:
    """Whether there is nothing left to write; not, where a person has changed the note since it was read."""
    from airflow.models.dagrun import DagRunNote  # noqa: PLC0415
    from sqlalchemy import insert, select, update  # noqa: PLC0415

    lines, headline = _outcome(connection, dag_run)
    if not lines:
        return True
    mine = DagRunNote.dag_run_id == dag_run.id
    found = connection.execute(select(DagRunNote.content).where(mine)).first()
    typed = found.content if found else None
    ended = dag_run.end_date or datetime.now(UTC)
    note = with_outcome(typed or "", lines, headline=headline, ended=ended)
    if note is None:
        log.warning(
            "the outcome was not added to the note of DAG run %s of %s: the note is too long. The logs of the tasks "
            "have it",
            dag_run.run_id,
            dag_run.dag_id,
        )
        return True
    if found is None:
        connection.execute(insert(DagRunNote).values(dag_run_id=dag_run.id, content=note))
        return True
    unchanged = DagRunNote.content.is_(None) if typed is None else DagRunNote.content == typed
    return bool(connection.execute(update(DagRunNote).where(mine, unchanged).values(content=note)).rowcount)


def _outcome(connection: Any, dag_run: Any) -> tuple[list[str], str]:
    """What each task has said, the first to end first, and all of it in short; nothing for the runs of other DAGs."""
    from airflow.models.taskinstance import TaskInstance  # noqa: PLC0415
    from airflow.models.xcom import XComModel  # noqa: PLC0415
    from sqlalchemy import and_, or_, select  # noqa: PLC0415

    same = and_(
        XComModel.dag_run_id == dag_run.id,
        XComModel.task_id == TaskInstance.task_id,
        XComModel.map_index == TaskInstance.map_index,
        XComModel.key == KEY,
    )
    failed_announcer = and_(TaskInstance.operator.in_(_ANNOUNCERS), TaskInstance.state == "failed")
    columns = (
        TaskInstance.id,
        TaskInstance.task_id,
        TaskInstance.operator,
        TaskInstance.state,
        TaskInstance.end_date,
        XComModel.value,
    )
    tasks = connection.execute(
        select(*columns)
        .outerjoin(XComModel, same)
        .where(
            TaskInstance.dag_id == dag_run.dag_id,
            TaskInstance.run_id == dag_run.run_id,
            or_(TaskInstance.operator.in_(_OPERATORS), failed_announcer),
        )
    ).all()
    lines, decided, unannounced, serves, undecided = [], "", "", "", True
    for task in sorted(tasks, key=lambda task: (task.end_date is None, task.end_date)):
        # A task that was cleared and has not run again has an outcome of before, under another id.
        said = task.value if isinstance(task.value, dict) and task.value.get("task") == str(task.id) else {}
        serves = said.get("serves") or serves
        if not said.get("line") and task.state == "failed":
            line = f"`{task.task_id}` ended without a result. Its log shows what was done"
            said = {"line": line, "short": f"{task.task_id} failed", "done": False}
        if not said.get("line"):
            continue
        lines.append(said["line"])
        if task.operator in _ANNOUNCERS:
            unannounced = unannounced or said["short"]
        elif undecided:  # the first that is not done decides; what comes after it only puts things right
            decided, undecided = said["short"], said["done"]
    return lines, "; ".join(filter(None, (decided, unannounced, serves)))


def with_outcome(typed: str, lines: Sequence[str], *, headline: str, ended: datetime) -> str | None:
    """The note of before, with the outcome below it instead of an earlier one; None where there is no room for it."""
    kept = _OURS.sub("", typed)
    before = f"{kept.strip()}\n\n" if kept.strip() else ""

    def note(longest: int) -> str:
        shown = "\n".join(f"- {line if len(line) <= longest else line[: longest - 1] + '…'}" for line in lines)
        return f"{before}**Outcome: {headline}**\n\n{shown}\n\n*Understudy, {ended:%Y-%m-%d %H:%M} UTC*"

    fitting = (longest for longest in range(_LONGEST, 39, -10) if len(note(longest)) <= _LONGEST)
    longest = next(fitting, None)
    return None if longest is None else note(longest)
