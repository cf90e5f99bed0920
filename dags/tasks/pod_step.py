"""Makes the tasks that run verbs as pods.

Imported only where steps are pods: it loads the client of Kubernetes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dags.tasks.pod_manifest import manifest
from dags.tasks.pod_settings import PodSettings
from dags.tasks.pods import SKIPPED, PodAnnounceOperator, PodVerbOperator

# How long a pod that Airflow has forgotten may stay after its step should have ended.
_FORGOTTEN_SECONDS = 600
_START = ("startup_timeout_seconds", "schedule_timeout_seconds")
_DEFAULTS: Mapping[str, Any] = {
    # A task that waits for its pod holds no slot of a worker, and outlives the worker and the scheduler.
    "deferrable": True,
    "poll_interval": 2,
    # How often the log of a running pod is read; without it there is none until the pod has ended.
    "logging_interval": 10,
    "skip_on_exit_code": SKIPPED,
    "do_xcom_push": False,
    # Log, events and result are in the task's log by then.
    "on_finish_action": "delete_pod",
    "on_kill_action": "delete_pod",
    "termination_message_policy": "FallbackToLogsOnError",
    "log_events_on_failure": True,
    # It would contain the values of plain variables.
    "log_pod_spec_on_failure": False,
    # After a lost worker, the next try finds the pod by its labels, and goes on with it.
    "durable": True,
    # Two tries may overlap: then each has a pod of its own, and the verbs agree in the bucket.
    "random_name_suffix": True,
}


def pod_step(
    pods: PodSettings,
    *,
    announces: bool,
    verb: str,
    words: Sequence[str],
    environment: Mapping[str, str],
    **task: Any,
) -> Any:
    """The task that runs a verb as a pod.

    Args:
        pods: how pods look.
        announces: whether the task announces changes.
        verb: what is run.
        words: the words of the command, after the interpreter.
        environment: variables; templates.
        task: what else Airflow is to know.

    Raises:
        BadInputError: a field of the pods' file is none that a Pod has.
    """
    fields = pods.of(verb)
    retries = {} if fields.retries is None or not task["retries"] else {"retries": fields.retries}
    start = {} if fields.start_seconds is None else dict.fromkeys(_START, fields.start_seconds)
    told = {
        **_DEFAULTS,
        **start,
        "verb": verb,
        # Rendered when the task runs; unique by a suffix.
        "name": "{{ dag.dag_id }}-{{ task.task_id }}",
        "namespace": fields.namespace,
        "base_container_name": verb,
        # The image's own entry point is process 1: it hands SIGTERM on.
        "arguments": ["python", *words],
        "env_vars": dict(environment),
        "pod_template_dict": manifest(fields, verb=verb),
        "active_deadline_seconds": int(task["execution_timeout"].total_seconds()) + _FORGOTTEN_SECONDS,
        **task,
        **retries,
    }
    if pods.gke is not None:
        from dags.tasks.gke import gke_step  # noqa: PLC0415 - imports the clients of Google Cloud

        return gke_step(pods.gke, announces=announces, **told)
    return (PodAnnounceOperator if announces else PodVerbOperator)(kubernetes_conn_id=pods.connection, **told)
