"""Plays each fault of pods with a DAG of one step; prints as JSON how its run ended, what was logged and what is left.

play_pod_faults.py SECONDS    how long the task itself waits for its pod before it is deferred
"""

import json
import logging
import os
import sys
from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from airflow.dag_processing.dagbag import DagBag

from dags.tasks.pods import PodTask
from tests.dags.playing import play
from tests.dags.playing_pods import SECRET, Deferrals, PlayedCluster, be_brief_with_pods, played_cluster, tell
from tests.dags.pod_faults import FAULTS, LINE, Case
from tests.kubernetes.api import TOKEN
from tests.kubernetes.faults import RequestFault
from tests.kubernetes.resources import ALL_RIGHTS, LOGS

ENDLESS = 60
LIVE = [[f"live {n} of 12", 0.4] for n in range(12)]


class UntilRetry(logging.Handler):
    """Ends the faults when a task says its last lines, and the verb when the next try looks at its pod."""

    def __init__(self, cluster: PlayedCluster, case: Case) -> None:
        super().__init__()
        self.cluster = cluster
        self.case = case
        self.is_over = False

    def emit(self, record: logging.LogRecord) -> None:
        self.cluster.api.faults.clear()
        if self.case.is_deleted and not self.is_over:
            self.cluster.end(LINE)
        self.is_over = True

    def look(self, task: PodTask, look: Callable[[PodTask], Any] = PodTask._look) -> Any:
        if self.is_over:
            Path(self.cluster.variables["FAKE_WAIT_UNTIL"]).touch()
        return look(task)


LOGGERS = (logging.getLogger("dags.tasks.verb_task"), logging.getLogger("airflow.sdk.definitions.dag"))


def play_case(cluster: PlayedCluster, dag: Any, name: str, case: Case, number: int) -> dict[str, Any]:
    (task,) = dag.tasks
    before = cluster.ran()
    cluster.variables |= tell([[LINE, ENDLESS]] if case.waits or case.waits_always else [], number)
    cluster.variables["FAKE_EVERY_TRY"] = "yes" if case.waits_always else ""
    cluster.api.rights[TOKEN] = ALL_RIGHTS - set(case.without)
    cluster.variables["FAKE_ENDS_LATE"] = "yes" if case.is_deleted else ""
    cluster.api.faults.order(*(ordered := case.faults()))
    kept = vars(task) | {"pod_template_dict": deepcopy(task.pod_template_dict)}
    case.change(task)
    if not case.starts:
        task.startup_timeout_seconds = task.schedule_timeout_seconds = 2
    over, deferrals = UntilRetry(cluster, case), Deferrals()
    handlers = (over if case.until_retry else logging.NullHandler(), deferrals)
    for logger, handler in zip(LOGGERS, handlers, strict=True):
        logger.addHandler(handler)

    def look(pod_task: PodTask) -> Any:
        return over.look(pod_task)

    with (
        patch("dags.tasks.pods._SHORT_SECONDS", short_seconds if case.starts and not case.of_trigger else -1),
        patch.object(PodTask, "_look", look),
    ):
        result = play(dag, name, {"retain": case.codes}, number=number, form={}, environment=cluster.variables)
    for logger, handler in zip(LOGGERS, handlers, strict=True):
        logger.removeHandler(handler)
    vars(task).update(kept)
    cluster.api.faults.clear()
    found = result | {"pods": cluster.ran() - before, "left": cluster.left(), "deferrals": deferrals.number}
    found["met"] = [fault.met for fault in ordered]
    cluster.clear()
    return found


seconds, *names = sys.argv[1:]
short_seconds = float(seconds)
be_brief_with_pods()
with played_cluster() as cluster:
    dag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"]).dags["retain_letters"]
    (task,) = dag.tasks
    task.retry_delay = timedelta(0)
    results = {
        name: play_case(cluster, dag, name, FAULTS[name], number) for number, name in enumerate(names or FAULTS, 301)
    }
    task.logging_interval = 1
    cluster.api.rights[TOKEN] = ALL_RIGHTS
    cluster.variables |= tell(LIVE, 400) | {"FAKE_EVERY_TRY": ""}
    cluster.api.faults.order(RequestFault(cut_after=1, resources=[LOGS], times=1))
    LOGGERS[1].addHandler(deferrals := Deferrals())
    with patch("dags.tasks.pods._SHORT_SECONDS", -1):
        live = play(dag, "live", {}, number=400, form={}, environment=cluster.variables)
    results["live"] = live | {"deferrals": deferrals.number}
    written = [(line.moment, line.content.decode()) for line in cluster.api.kubelet.runs[-1].log.lines]
print(json.dumps({"results": results, "written": written, "secret": SECRET}))  # noqa: T201 - the test reads it
