"""Steps as pods on the real stack: Airflow, MLflow, two model servers, and a cluster that runs the pods.

Everything is the real thing but the cluster, which is `tests.kubernetes`. The first run meets every fault that can be
ordered without making it fail: a killed pod, watches and logs that are cut, a scheduler and a triggerer that are killed
while a step runs. The second one is stopped by a person. How a run ends after other faults is in `tests/dags`.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from embedded.airflow_api import AirflowApi
from tests.kubernetes.faults import VERB_LABEL, PodFault, RequestFault
from tests.platform.pod_stack import PodStack, label, pod_stack, wait_until

pytestmark = [pytest.mark.platform, pytest.mark.timeout(900)]

DAG = "retrain_digits"
STEPS = ("snapshot", "train", "evaluate", "gate", "publish", "canary", "promote", "announce")
# A person may type this; Kubernetes would replace $(HOME), a shell everything.
NOTE = "to see $(HOME), $$5 and `touch hacked`"
EPOCHS = 300


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """What the runs showed."""
    with pod_stack(tmp_path_factory.mktemp("pods")) as stack, stack.airflow() as airflow:
        airflow.wait_for_dag(DAG)
        airflow.unpause(DAG)
        yield {"stack": stack, "good": _with_faults(stack, airflow), "stopped": _stopped(stack, airflow)}


def _with_faults(stack: PodStack, airflow: AirflowApi) -> dict[str, Any]:
    """A whole retrain, however much goes wrong around it."""
    faults = stack.kubernetes.faults
    watch = RequestFault(verbs=["watch"], cut_after=1)
    faults.order(
        PodFault(kind="killed", verb="train", line="epoch 2 "),
        # Events are watched only as long as a pod does not run, and by a trigger alone.
        PodFault(kind="unschedulable", verb="evaluate", until=lambda: watch.met > 0),
        watch,
        RequestFault(resources=["pods/log"], cut_after=2, times=1),
    )
    run = airflow.trigger(DAG, {"epochs": EPOCHS, "note": NOTE})
    wait_until(
        lambda: _state(airflow, run, "train") == "up_for_retry", what="the killed pod is not noticed", seconds=300
    )
    wait_until(lambda: _state(airflow, run, "train") == "deferred", what="train is not tried again", seconds=300)
    killed = [stack.kill("airflow-scheduler"), stack.kill("airflow-triggerer")]
    live = wait_until(lambda: _epochs(airflow.log(DAG, run, "train", attempt=2)), what="no epoch is shown", seconds=200)
    running = stack.pods(DAG)["train"]["status"]["phase"]
    state = airflow.wait(DAG, run, seconds=500)
    faults.clear()
    return {
        "killed": killed,
        "cut watches": watch.met,
        "live": live,
        "running": running,
        "state": state,
        "tasks": airflow.task_states(DAG, run),
        "logs": {step: airflow.log(DAG, run, step, attempt=2 if step == "train" else 1) for step in STEPS},
        "first_log": airflow.log(DAG, run, "train"),
        "note": airflow._call("GET", f"/api/v2/dags/{DAG}/dagRuns/{run}")["note"],
        "status": json.loads(stack.understudy("status", "--model", "digits", "--json")),
        "history": json.loads(stack.understudy("history", "--model", "digits", "--all", "--json")),
        "verbs": [label(each.pod, VERB_LABEL) for each in _runs(stack, DAG)],
        "pods": stack.pods(DAG),
    }


def _stopped(stack: PodStack, airflow: AirflowApi) -> dict[str, Any]:
    """A retrain that a person stops while it trains, and what people on call do meanwhile."""
    run = airflow.trigger(DAG, {"epochs": 1000})
    wait_until(lambda: _state(airflow, run, "train") == "deferred", what="train is not deferred", seconds=300)
    freeze = airflow.trigger("freeze", {"model": "digits", "until": "1h", "reason": "to see that it waits for no pod"})
    frozen = airflow.wait("freeze", freeze, seconds=200)
    before = stack.pods(DAG)
    airflow._call("PATCH", f"/api/v2/dags/{DAG}/dagRuns/{run}/taskInstances/train", {"new_state": "failed"})
    wait_until(lambda: not stack.pods(DAG), what="the pod of a stopped task stays")
    train = _runs(stack, DAG)[-1]
    return {
        "before": before,
        "frozen": frozen,
        "of_freeze": _runs(stack, "freeze"),
        "state": airflow.wait(DAG, run, seconds=200),
        "tasks": airflow.task_states(DAG, run),
        "train": train,
        "status": json.loads(stack.understudy("status", "--model", "digits", "--json")),
    }


def _runs(stack: PodStack, dag_id: str) -> list[Any]:
    """The pods that were ever run for a DAG, in the order in which they began."""
    return [run for run in stack.kubernetes.kubelet.runs if label(run.pod, "dag_id") == dag_id]


def _state(airflow: AirflowApi, run: str, task: str) -> str | None:
    return airflow.task_states(DAG, run).get(task)


def _epochs(log: str) -> list[int]:
    return [int(number) for number in re.findall(r"epoch ([0-9]+) of", log)]


def test_a_retrain_succeeds_although_a_pod_and_two_processes_of_airflow_are_killed(seen: Any) -> None:
    good = seen["good"]

    assert "success" == good["state"]
    assert dict.fromkeys(STEPS, "success") | {"withdraw": "skipped"} == good["tasks"]
    assert (1, True) == (good["status"]["serving"]["version"], good["status"]["agrees"])


def test_watches_were_cut(seen: Any) -> None:
    assert 0 < seen["good"]["cut watches"]


def test_each_step_was_a_pod_and_the_killed_one_was_a_second(seen: Any) -> None:
    assert ["snapshot", "train", *STEPS[1:]] == seen["good"]["verbs"]


def test_epochs_are_in_the_log_while_the_pod_runs(seen: Any) -> None:
    good = seen["good"]

    assert "Running" == good["running"]
    assert 0 < max(good["live"]) <= EPOCHS


def test_the_second_try_resumes_after_the_last_epoch_of_the_first_and_none_is_missing(seen: Any) -> None:
    first, second = (set(_epochs(log)) for log in (seen["good"]["first_log"], seen["good"]["logs"]["train"]))

    assert set(range(1, EPOCHS + 1)) == first | second
    assert 2 < min(second)


def test_the_log_of_the_killed_pod_says_what_happened_and_what_comes_next(seen: Any) -> None:
    log = seen["good"]["first_log"]

    assert "What happened: `train` ended without an answer (it was killed by signal 9)" in log
    assert "the next try finds in the bucket what this run has already done" in log


def test_what_a_person_has_typed_reaches_the_journal_unchanged(seen: Any) -> None:
    assert NOTE in json.dumps(seen["good"]["history"], ensure_ascii=False)


def test_the_note_of_the_run_says_what_was_decided(seen: Any) -> None:
    assert "**Outcome: promote done; v1 serves digits**" in seen["good"]["note"]


def test_no_pod_is_left(seen: Any) -> None:
    assert {} == seen["good"]["pods"]


def test_a_task_that_a_person_stops_ends_its_pod_and_the_process_in_it(seen: Any) -> None:
    stopped = seen["stopped"]

    assert "Running" == stopped["before"]["train"]["status"]["phase"]
    assert ("failed", "failed") == (stopped["state"], stopped["tasks"]["train"])
    assert 0 < max(_epochs(stopped["train"].log.text())) < 1000
    assert 1 == stopped["status"]["serving"]["version"]


def test_people_on_call_wait_for_no_pod(seen: Any) -> None:
    assert "success" == seen["stopped"]["frozen"]
    assert [] == seen["stopped"]["of_freeze"]
