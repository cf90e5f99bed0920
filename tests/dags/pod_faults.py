"""The faults that are played, and how the run of a DAG with one step ends then."""

import itertools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tests.kubernetes.faults import PodFault, RequestFault
from tests.kubernetes.resources import LOGS, PODS, Right

Fault = PodFault | RequestFault
# The verb writes it in its first try, and then waits to be ended.
LINE = "step 1"
FULL = 'pods "retain" is forbidden: exceeded quota: pods, requested: pods=1, used: pods=9, limited: pods=9'
NO_NODE = "0/3 nodes are available: 3 Insufficient memory."
AGAIN, BY_HAND = "up for retry", "Correct the cause, then clear this task"


def change_nothing(task: Any) -> None:
    """The pod is as the file says."""


def mount_nothing(task: Any) -> None:
    """The file of pods names a volume that it does not have."""
    container = task.pod_template_dict["spec"]["containers"][0]
    container["volumeMounts"] = [*container["volumeMounts"], {"name": "models", "mountPath": "/models"}]


def run_as_nobody(task: Any) -> None:
    """The file of pods names a service account that does not exist."""
    task.pod_template_dict["spec"]["serviceAccountName"] = "nobody"


def run_nowhere(task: Any) -> None:
    """The file of pods names a namespace that does not exist."""
    task.namespace = "nowhere"


def need_a_secret(task: Any) -> None:
    """The file of pods names a Secret that does not exist."""
    reference = {"secretKeyRef": {"name": "gone", "key": "key"}}
    container = task.pod_template_dict["spec"]["containers"][0]
    container["env"] = [{"name": "AWS_SECRET_ACCESS_KEY", "valueFrom": reference}]


def run_a_stranger(task: Any) -> None:
    """The image has no such program."""
    task.arguments = ["stranger", *task.arguments[1:]]


def have_a_deadline(task: Any) -> None:
    task.active_deadline_seconds = 1


def hurry(task: Any) -> None:
    """Three seconds for the task."""
    task.execution_timeout = timedelta(seconds=3)


@dataclass(kw_only=True)
class Case:
    """A fault and its outcome.

    Attributes:
        faults: made anew for each time that the case is played.
        without: rights that Airflow does not have.
        change: changes the task.
        waits: the verb waits in its first try until it is ended.
        waits_always: it does so in each try.
        is_deleted: the pod is deleted before Airflow tries again, and its verb takes its time to end.
        starts: whether a pod ever runs; where it does not, the task is deferred, and waits two seconds for that.
        of_trigger: only a trigger meets the fault, so the task is always deferred.
        codes: with which code the verb ends, or with which each of its tries.
        until_retry: the faults are over when Airflow tries again.
        run: how the run ends.
        tries: of the task.
        pods: how many there have been.
        left: how many are left.
        says: parts of the line that says what happened, of the last try that did not succeed.
        advises: a part of the line that says what to do.
    """

    faults: Callable[[], Sequence[Fault]] = list
    without: Collection[Right] = ()
    change: Callable[[Any], None] = change_nothing
    waits: bool = False
    waits_always: bool = False
    is_deleted: bool = False
    starts: bool = True
    of_trigger: bool = False
    codes: list[int] = field(default_factory=lambda: [0, 0])
    until_retry: bool = False
    run: str = "success"
    tries: int = 1
    pods: int = 1
    left: int = 0
    says: Sequence[str] = ()
    advises: str = ""


def _pod(kind: Any, **more: Any) -> Callable[[], Sequence[Fault]]:
    return lambda: [PodFault(kind=kind, line=LINE if kind != "collected" else "", **more)]


def _requests(**more: Any) -> Callable[[], Sequence[Fault]]:
    return lambda: [RequestFault(**more)]


def _pending_until_met(**more: Any) -> Callable[[], Sequence[Fault]]:
    def ordered() -> Sequence[Fault]:
        fault = RequestFault(**more)
        return [PodFault(kind="unschedulable", until=lambda: fault.met > 0), fault]

    return ordered


def after(number: int) -> Callable[[object], bool]:
    """Whether a request is not one of the first ones."""
    count = itertools.count()
    return lambda _: next(count) >= number


# Each is played twice: the task waits for its pod, and the task is deferred.
FAULTS: dict[str, Case] = {
    "killed": Case(faults=_pod("killed"), waits=True, tries=2, pods=2, says=["killed by signal 9"], advises=AGAIN),
    "out of memory": Case(
        faults=_pod("oom"),
        waits=True,
        tries=2,
        pods=2,
        says=["OOMKilled", "raise its limit, resources.limits.memory"],
        advises=AGAIN,
    ),
    "evicted": Case(
        faults=_pod("evicted"), waits=True, tries=2, pods=2, says=["Evicted", "low on resource: memory"], advises=AGAIN
    ),
    "evicted without status": Case(
        faults=_pod("evicted", without_status=True),
        waits=True,
        tries=2,
        pods=2,
        says=["Evicted", "low on resource: memory"],
        advises=AGAIN,
    ),
    "node lost": Case(
        faults=_pod("lost", after=1.0), waits=True, tries=2, pods=2, says=["deleted", "node"], advises=AGAIN
    ),
    "collected": Case(faults=_pod("collected"), tries=2, pods=2, says=["deleted"], advises=AGAIN),
    "image not there": Case(
        faults=lambda: [PodFault(kind="unpullable", times=None)],
        run="failed",
        tries=2,
        pods=2,
        starts=False,
        says=["ImagePull", "registry.example/understudy-pipeline:1", "403 Forbidden"],
        advises=AGAIN,
    ),
    "registry busy": Case(
        faults=lambda: [PodFault(kind="unpullable", lasts=0.5, message="toomanyrequests: too many requests")]
    ),
    "no node": Case(
        faults=lambda: [PodFault(kind="unschedulable", times=None, message=NO_NODE)],
        run="failed",
        tries=2,
        pods=2,
        starts=False,
        says=["no node takes the pod", NO_NODE],
        advises=AGAIN,
    ),
    "a node later": Case(faults=lambda: [PodFault(kind="unschedulable", lasts=0.3)]),
    # Events are watched only as long as a pod does not run.
    "watch cut": Case(
        faults=_pending_until_met(cut_after=0, verbs=["watch"], times=3),
        of_trigger=True,
    ),
    "log cut": Case(faults=_requests(cut_after=0, resources=[LOGS], times=1)),
    "API busy": Case(faults=_requests(status=429, retry_after=1, times=4)),
    "API broken for a moment": Case(faults=_requests(status=500, times=4)),
    "API away for a moment": Case(faults=_requests(status=0, times=4)),
    "API away until the next try": Case(
        faults=_requests(status=0, verbs=["get"], resources=[PODS]),
        waits=True,
        until_retry=True,
        tries=2,
        says=["the API of Kubernetes: no answer from 127.0.0.1"],
        advises=AGAIN,
    ),
    "API away while the pod runs": Case(
        faults=lambda: [RequestFault(status=0, verbs=["get"], resources=[PODS], where=after(1))],
        waits=True,
        until_retry=True,
        tries=2,
        says=["the API of Kubernetes: no answer from 127.0.0.1"],
        advises=AGAIN,
    ),
    "terminating": Case(
        faults=lambda: [RequestFault(status=0, verbs=["get"], resources=[PODS], where=after(1))],
        waits=True,
        until_retry=True,
        is_deleted=True,
        tries=2,
        pods=2,
        says=["the API of Kubernetes: no answer from 127.0.0.1"],
        advises=AGAIN,
    ),
    "API broken while the pod runs": Case(
        faults=lambda: [RequestFault(status=503, verbs=["get"], resources=[PODS], where=after(1))],
        waits=True,
        until_retry=True,
        tries=2,
        says=["the API of Kubernetes: 503"],
        advises=AGAIN,
    ),
    "rights taken while the pod runs": Case(
        faults=lambda: [RequestFault(status=403, verbs=["get"], resources=[PODS], where=after(1))],
        waits_always=True,
        run="failed",
        says=["the API of Kubernetes: 403"],
        advises=BY_HAND,
    ),
    "API broken": Case(
        faults=_requests(status=500),
        run="failed",
        tries=2,
        pods=0,
        says=["the API of Kubernetes", "500"],
        advises=AGAIN,
    ),
    "API away": Case(
        faults=_requests(status=0),
        run="failed",
        tries=2,
        pods=0,
        says=["API of Kubernetes: no answer from"],
        advises=AGAIN,
    ),
    "quota": Case(
        faults=_requests(status=403, message=FULL, verbs=["create"], resources=[PODS], times=1),
        tries=2,
        says=["403", FULL],
        advises=AGAIN,
    ),
    "token refused": Case(
        faults=_requests(status=401), run="failed", pods=0, says=["401: Unauthorized"], advises=BY_HAND
    ),
    "may not create pods": Case(
        without=[("create", PODS)],
        run="failed",
        pods=0,
        says=["403", 'cannot create resource "pods"'],
        advises=BY_HAND,
    ),
    "may not list pods": Case(
        without=[("list", PODS)], run="failed", pods=0, says=["403", 'cannot list resource "pods"'], advises=BY_HAND
    ),
    "may not read pods": Case(
        without=[("get", PODS)], run="failed", says=["403", 'cannot get resource "pods"'], advises=BY_HAND
    ),
    "may not read logs": Case(without=[("get", LOGS)]),
    "may not read events": Case(without=[("list", "events"), ("watch", "events"), ("get", "events")]),
    "may not delete pods": Case(without=[("delete", PODS)], left=1),
    "answer lost": Case(faults=_requests(done=True, verbs=["create"], times=1)),
    "manifest invalid": Case(
        change=mount_nothing, run="failed", pods=0, says=["422", "volumeMounts", 'Not found: "models"'], advises=BY_HAND
    ),
    "no account": Case(
        change=run_as_nobody, run="failed", pods=0, says=["403", 'serviceaccount "nobody" not found'], advises=BY_HAND
    ),
    "no namespace": Case(
        change=run_nowhere, run="failed", pods=0, says=["404", 'namespaces "nowhere" not found'], advises=BY_HAND
    ),
    "no secret": Case(
        change=need_a_secret,
        run="failed",
        tries=2,
        pods=2,
        starts=False,
        says=["CreateContainerConfigError", 'secret "gone" not found'],
        advises=AGAIN,
    ),
    "too long": Case(
        change=hurry, waits_always=True, run="failed", tries=2, pods=2, says=["longer than its task may"], advises=AGAIN
    ),
    "deadline of the pod": Case(
        change=have_a_deadline,
        waits_always=True,
        run="failed",
        tries=2,
        pods=2,
        says=["DeadlineExceeded"],
        advises=AGAIN,
    ),
    "program not there": Case(change=run_a_stranger, run="failed", tries=2, pods=2, says=["StartError"], advises=AGAIN),
    "dies with one line of JSON": Case(
        codes=[1], run="failed", says=["without an answer (exit code 1)"], advises=BY_HAND
    ),
}
