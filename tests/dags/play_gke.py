"""Plays DAGs whose steps are pods of a GKE cluster; prints as JSON how each run and each task ended.

The operators and the trigger are those for GKE. Only their way to the cluster is another: KUBECONFIG names it, so no
cluster is asked for, and no token of Google Cloud.
"""

import json
import logging
import os
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from airflow.dag_processing.dagbag import DagBag
from airflow.providers.cncf.kubernetes.hooks.kubernetes import AsyncKubernetesHook, KubernetesHook

from dags.tasks.gke import GkeStepTrigger, GkeVerbOperator
from tests.dags.moving import make_serve
from tests.dags.playing import announced, play
from tests.dags.playing_pods import Deferrals, PlayedCluster, be_brief_with_pods, played_cluster, tell
from tests.kubernetes.faults import PodFault

LINE, ENDLESS = "step 1", 60
# By mode: seconds for which a task waits for its pod before it is deferred.
MODES = {"waits": 20, "is deferred": -1}
TO_THE_CLUSTER = (
    (GkeVerbOperator, "cluster_info", ("https://gke.invalid", "an authority")),
    (GkeVerbOperator, "hook", property(lambda _: KubernetesHook(conn_id=None))),
    (GkeStepTrigger, "hook", property(lambda _: AsyncKubernetesHook(conn_id=None))),
)


def play_all(cluster: PlayedCluster, mode: str, number: int) -> dict[str, Any]:
    retain, announce = dags["retain_letters"], dags["announce"]
    results = {}
    for name, dag, lines in (
        ("good", retain, []),
        ("killed", retain, [[LINE, ENDLESS]]),
        ("declines", retain, []),
        ("announce", announce, []),
    ):
        number += 1
        deferrals = Deferrals()
        if name == "killed":
            cluster.api.faults.order(PodFault(kind="killed", line=LINE))
        elif name == "good" and mode == "is deferred":
            # Otherwise the pod may have ended when the task looks at it for the first time.
            cluster.api.faults.order(PodFault(kind="unschedulable", until=deferrals.have_begun))
        if name == "announce":
            make_serve("letters", run_key="rollback-1", minutes_ago=9)
        cluster.variables |= tell(lines, number)
        codes = {"retain": 99} if name == "declines" else {}
        airflow.addHandler(deferrals)
        found = play(dag, f"{name} {mode}", codes, number=number, form={}, environment=cluster.variables)
        airflow.removeHandler(deferrals)
        results[name] = found | {"deferrals": deferrals.number}
    return results


airflow = logging.getLogger("airflow.sdk.definitions.dag")
be_brief_with_pods()
for owner, attribute, replacement in TO_THE_CLUSTER:
    patch.object(owner, attribute, replacement).start()
with played_cluster() as cluster:
    dags = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"]).dags
    (task,) = dags["retain_letters"].tasks
    task.retry_delay = timedelta(0)
    told: dict[str, Any] = {"operators": [each.task_type for each in (task, *dags["announce"].tasks)]}
    for number, (mode, seconds) in enumerate(MODES.items(), 5):
        with patch("dags.tasks.pods._SHORT_SECONDS", seconds):
            told[mode] = play_all(cluster, mode, 100 * number)
    told |= {"left": cluster.left(), "announced": announced()}
print(json.dumps(told))  # noqa: T201 - the test reads it
