"""Plays each fault of pods with a DAG of one step; prints as JSON how its run ended, what was logged and what is left.

    play_pod_faults.py SECONDS    how long the task itself waits for its pod before it is deferred
"""

import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from airflow.dag_processing.dagbag import DagBag

from tests.dags.playing import play
from tests.dags.playing_pods import SECRET, PlayedCluster, be_brief_with_pods, played_cluster
from tests.dags.pod_faults import FAULTS, LINE, Case
from tests.kubernetes.api import TOKEN
from tests.kubernetes.resources import ALL_RIGHTS

ENDLESS = 60
LIVE = [[f"line {n}", 0.4] for n in range(12)]


class Log(logging.Handler):
    """Keeps what is logged, and whether a pod ran at that moment."""

    def __init__(self, cluster: PlayedCluster) -> None:
        super().__init__()
        self.cluster = cluster
        self.lines: list[tuple[str, bool]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((self.format(record), self.cluster.is_running()))


class UntilRetry(logging.Handler):
    """The faults end when a task says its last lines."""

    def __init__(self, cluster: PlayedCluster) -> None:
        super().__init__()
        self.cluster = cluster

    def emit(self, record: logging.LogRecord) -> None:
        self.cluster.api.faults.clear()


@contextmanager
def handled(name: str, handler: logging.Handler) -> Iterator[None]:
    logger = logging.getLogger(name)
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)


def play_case(cluster: PlayedCluster, dag: Any, name: str, case: Case, number: int) -> dict[str, Any]:
    (task,) = dag.tasks
    log, before, begin = Log(cluster), cluster.ran(), time.monotonic()
    cluster.variables["FAKE_LINES"] = json.dumps([[LINE, ENDLESS]] if case.waits else [])
    cluster.api.rights[TOKEN] = ALL_RIGHTS - set(case.without)
    cluster.api.faults.order(*case.faults())
    kept = dict(vars(task))
    kept["pod_template_dict"] = json.dumps(task.pod_template_dict)
    case.change(task)
    with handled("", log), handled("dags.tasks.verb_task", UntilRetry(cluster) if case.until_retry else logging.NullHandler()):
        result = play(dag, name, {"retain": case.codes}, number=number, form={}, environment=cluster.variables)
    vars(task).update(kept, pod_template_dict=json.loads(kept["pod_template_dict"]))
    cluster.api.faults.clear()
    left = cluster.left()
    cluster.clear()
    took = time.monotonic() - begin
    return result | {"pods": cluster.ran() - before, "left": left, "log": log.lines, "took": took}


be_brief_with_pods()
patch("dags.tasks.pods._SHORT_SECONDS", float(sys.argv[1])).start() if len(sys.argv) > 1 else None
with played_cluster() as cluster:
    bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    dag = bag.dags["retain_letters"]
    (task,) = dag.tasks
    task.retry_delay = timedelta(0)
    names = sys.argv[2:] or list(FAULTS)
    results = {}
    for number, name in enumerate(names, 301):
        results[name] = play_case(cluster, dag, name, FAULTS[name], number)
    task.logging_interval = 1
    cluster.variables["FAKE_LINES"] = json.dumps(LIVE)
    log = Log(cluster)
    with handled("", log):
        live = play(dag, "live", {}, number=400, form={}, environment=cluster.variables)
print(json.dumps({"results": results, "live": live | {"log": log.lines}, "secret": SECRET}))  # noqa: T201 - the test reads it
