"""Plays DAGs through Airflow itself, one run after the other, and notes how each run and each task ended."""

import json
import logging
import os
import time
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from functools import cache
from typing import Any
from unittest.mock import patch

from airflow.dag_processing import dagbag
from airflow.models.asset import AssetEvent, AssetModel
from airflow.utils.session import create_session
from sqlalchemy import select

from tests.dags.noting import read_note, typed

# `withdraw` declines (99) when nothing of the run is on a replica.
CASES: dict[str, dict[str, int]] = {
    "all good": {},
    "gate declines": {"gate": 99},
    "train fails": {"train": 1, "withdraw": 99},
    "publish fails": {"publish": 1, "withdraw": 99},
    "canary fails": {"canary": 1},
    "canary cannot tell": {"canary": 75},
    "promote fails": {"promote": 1},
    "promote declines": {"promote": 99},
    "snapshot declines": {"snapshot": 99},
}

NASTY = (
    "it's $(UNDERSTUDY_ROOT) $$ $$(UNDERSTUDY_ROOT) "
    '"quoted" $(touch hacked) `touch hacked` ; touch hacked & | > hacked \\ {{ 7 * 7 }} {% raw %} %s\n'
    "second line, ünïcode \u2013 \u65e5\u672c \U0001f600 </script> \u2028 end \\"
)


class Said(logging.Handler):
    """Keeps what the tasks of one case say last."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


# Of a case whose run has one before it begins.
NOTES = {"gate declines": "Only to see whether\nit is *any* better. Ann", "promote declines": "x" * 990}


def play(
    dag: Any,
    case: str,
    codes: Mapping[str, int | list[int]],
    *,
    number: int,
    form: dict[str, Any],
    environment: MutableMapping[str, str] = os.environ,
) -> dict[str, Any]:
    """Run a DAG once.

    Args:
        dag: which.
        case: a name of this run.
        codes: with which code a verb ends, or with which each of its tries; 0 for those that are not named.
        number: of the run: each has its own.
        form: what a person has typed.
        environment: from which the verbs learn the case.
    """
    environment["FAKE_CASE"] = case
    environment["FAKE_EXIT_CODES"] = json.dumps(codes)
    said = Said()
    logging.getLogger("dags.tasks.verb_task").addHandler(said)
    moment = datetime(2026, 1, 2, 3, 4, 5, number, tzinfo=UTC)
    with typed(NOTES.get(case)):
        run = dag.test(run_after=moment, logical_date=moment, run_conf=form)
    logging.getLogger("dags.tasks.verb_task").removeHandler(said)
    tasks = {each.task_id: each for each in run.get_task_instances()}
    return {
        "run": str(run.state),
        "id": run.run_id,
        "note": read_note(run.run_id, dag.dag_id),
        "said": said.lines,
        "tasks": {task_id: str(each.state) for task_id, each in tasks.items()},
        "tries": {task_id: each.try_number for task_id, each in tasks.items()},
    }


def announced() -> list[dict[str, Any]]:
    """Every event of an asset, in the order of their coming."""
    with create_session() as session:
        query = select(AssetModel.name, AssetEvent).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        events = session.execute(query.order_by(AssetEvent.id)).all()
        return [{"asset": name, "by": each.source_dag_id, "extra": each.extra} for name, each in events]


def sleep_briefly(seconds: float, sleep: Callable[[float], None] = time.sleep) -> None:
    """Airflow waits a second where it finds no task to run, also where the next look finds the end of the run."""
    sleep(min(seconds, 0.05))


def be_brief() -> None:
    """Make Airflow wait and read less, for as long as this process lives."""
    # Before each run Airflow reads all files and writes them to the database, a third of its time: once is enough here.
    for each in ("BundleDagBag", "sync_bag_to_db"):
        patch.object(dagbag, each, cache(getattr(dagbag, each))).start()
    patch("time.sleep", sleep_briefly).start()
