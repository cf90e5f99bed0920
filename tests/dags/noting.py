"""The note of a DAG run as a person types it and reads it, and what may go wrong when its run ends."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from unittest.mock import patch

from airflow.models import dagrun
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from airflow.utils.sqlalchemy import prohibit_commit
from sqlalchemy import Engine, event, select, text


@contextmanager
def typed(note: str | None) -> Iterator[None]:
    """The runs that begin meanwhile have it, as one that a person types into the form that triggers them."""
    create = dagrun.get_or_create_dagrun

    def with_note(*, session: Any, **more: Any) -> Any:
        run = create(session=session, **more)
        if note is not None:
            run.note = (note, "ann")
            session.commit()
        return run

    with patch.object(dagrun, "get_or_create_dagrun", with_note):
        yield


@contextmanager
def refused() -> Iterator[None]:
    """The database takes no note."""
    with create_session() as session:
        session.execute(
            text("CREATE TRIGGER refuse BEFORE INSERT ON dag_run_note BEGIN SELECT RAISE(ABORT, 'no notes'); END")
        )
    yield
    with create_session() as session:
        session.execute(text("DROP TRIGGER refuse"))


@contextmanager
def busy() -> Iterator[None]:
    """Another process writes whenever a note is about to be written, if the database lets it."""

    def write(connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if not statement.startswith("INSERT INTO dag_run_note"):
            return
        with closing(sqlite3.connect(connection.engine.url.database, timeout=0)) as other:
            try:
                other.execute("UPDATE log SET event = event")
                other.commit()
            except sqlite3.OperationalError:
                pass  # whoever writes the note has the database for himself: the other process waits

    event.listen(Engine, "before_cursor_execute", write)
    yield
    event.remove(Engine, "before_cursor_execute", write)


def read_note(run_id: str, dag_id: str) -> str | None:
    with create_session() as session:
        note: str | None = _run(session, run_id, dag_id).note
        return note


def end_again(run_id: str, dag_id: str, *, cleared: str, add: str) -> None:
    """As in the scheduler, which lets nobody else commit; after a person has added to the note and cleared a task."""
    with create_session() as session:
        run = _run(session, run_id, dag_id)
        run.note += add
        (task,) = session.scalars(
            select(TaskInstance).where(
                TaskInstance.run_id == run_id, TaskInstance.dag_id == dag_id, TaskInstance.task_id == cleared
            )
        )
        task.prepare_db_for_next_try(session)
        task.state = "skipped"
    with create_session() as session, prohibit_commit(session) as guard:
        run = _run(session, run_id, dag_id)
        run.notify_dagrun_state_changed(msg="again")
        guard.commit()


def _run(session: Any, run_id: str, dag_id: str) -> Any:
    return session.scalars(select(DagRun).where(DagRun.run_id == run_id, DagRun.dag_id == dag_id)).one()
