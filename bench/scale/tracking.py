"""What a retrain adds to MLflow: rows of its database, bytes of its artifacts. From real trainings of the digits."""

import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from bench.scale.measuring import show, usage
from tests.releases import MODEL

_PROJECT = Path(__file__).parents[2]
_VERBS = ("snapshot", "train", "evaluate", "gate")


def rows(database: Path) -> Mapping[str, int]:
    """The number of rows of each table."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        counts = {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}  # noqa: S608
    return {name: count for name, count in counts.items() if count}


def report(runs: int = 2) -> None:
    """What the last of some runs adds. Nothing serves; a run with a version to compare with logs little more."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bucket").mkdir()
        database = folder / "mlflow.db"
        env = {
            "UNDERSTUDY_ROOT": str(folder / "bucket"),
            "UNDERSTUDY_MODELS": str(_PROJECT / "models"),
            "UNDERSTUDY_MLFLOW_URL": f"sqlite:///{database}",
            "UNDERSTUDY_REPLICAS": "127.0.0.1:9",
            "UNDERSTUDY_CODE_VERSION": "bench",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        before: Mapping[str, int] = {}
        size = 0
        for number in range(1, runs + 1):
            before, size = (rows(database), database.stat().st_size) if database.exists() else ({}, 0)
            words = (MODEL, f"retrain-{number}", *_VERBS)
            used = usage("tests.retrain", *words, env=env, folder=folder, json_expected=False)
        after = rows(database)
        show("CPU of snapshot, train, evaluate and gate of the digits", used.cpu_seconds, "s")
        show("peak memory of these, in one process", used.peak_mb, "MB")
        for table in sorted(after):
            if after[table] > before.get(table, 0):
                show(f"rows of a run in MLflow's table {table}", after[table] - before.get(table, 0), "rows")
        show("rows of a run in MLflow, all tables", sum(after.values()) - sum(before.values()), "rows")
        show("bytes of these", (database.stat().st_size - size) / 1e3, "kB")
