"""A verb as a pod.

Imported only where steps are pods: it loads the client of Kubernetes. Airflow's own operator makes the pod and waits
for it. What becomes of the exit code is the same as for a local process.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from http import HTTPStatus
from typing import Any, NoReturn

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodManager, PodNotFoundException
from airflow.sdk.exceptions import AirflowException, AirflowSkipException, AirflowTaskTimeout
from kubernetes.client import V1EnvVar, V1ObjectMeta, V1Pod
from kubernetes.client.exceptions import ApiException

from dags.tasks.announcing_task import AnnouncingTask
from dags.tasks.api_errors import FAILURES, is_refused, sentence
from dags.tasks.pod_endings import GONE, Ending, ending
from dags.tasks.pod_manifest import literal
from dags.tasks.pod_trigger import PatientTrigger, StepTrigger
from dags.tasks.task_messages import TOO_LONG
from dags.tasks.verb_task import VerbTask
from pipeline import result

log = logging.getLogger(__name__)

SKIPPED = 99
# Signals end a process with 128 and their number.
_KILLED = 128
# Where the kubelet reads what a container leaves.
_TERMINATION_LOG = "/dev/termination-log"
# A step that takes no longer holds the worker that has started its pod; any other is deferred.
_SHORT_SECONDS = 20
_TRY = "try_number"
ENDED = frozenset({"Succeeded", "Failed"})


def without_manifest(template_fields: Sequence[str]) -> tuple[str, ...]:
    """What Airflow renders: in the file of pods, Kubernetes alone says what a value means."""
    return tuple(name for name in template_fields if name != "pod_template_dict")


class QuietPodManager(PodManager):  # type: ignore[misc]  # Airflow is untyped for us
    """Creates pods without writing their manifests into the log where that fails: they contain plain variables."""

    def run_pod_async(self, pod: V1Pod, **more: Any) -> V1Pod:
        return self._client.create_namespaced_pod(body=pod, namespace=pod.metadata.namespace, **more)


class PodTask(VerbTask):
    """What an operator needs to run a verb in a pod; it comes before `KubernetesPodOperator` among the bases."""

    trigger_type: type[PatientTrigger] = StepTrigger

    # What the way to the API raises.
    failures: tuple[type[Exception], ...] = FAILURES

    # Of the operator.
    client: Any
    base_container_name: str
    env_vars: Any
    pod: V1Pod | None

    def __init__(self, **task: Any) -> None:
        super().__init__(**task)
        self._try = 0
        self._ending: Ending | None = None
        self._deferred_pod: V1Pod | None = None
        # The operator itself calls `trigger_reentry` for a pod that has ended at once, within `execute`.
        self._concluded = False

    def build_pod_request_obj(self, context: Any = None, **more: Any) -> V1Pod:
        of_run = {} if context is None else self.variables(context) | {result.VARIABLE: _TERMINATION_LOG}
        rendered = self.env_vars
        try:
            self.env_vars = _literal(rendered, of_run)
            return super().build_pod_request_obj(context, **more)  # type: ignore[misc]  # of the operator
        finally:
            self.env_vars = rendered

    def execute(self, context: Any) -> None:
        """Start the pod, or find the one of an earlier try, and wait for it without holding a worker."""
        self._try = context["ti"].try_number
        self._attempt(context, lambda: super(PodTask, self).execute(context))  # type: ignore[misc]

    def trigger_reentry(self, context: Any, event: dict[str, Any]) -> None:
        """Go on when the pod has ended, or is said to have."""
        self._try = context["ti"].try_number
        # The operator forgets it while it asks for it.
        self._deferred_pod = V1Pod(metadata=V1ObjectMeta(name=event["name"], namespace=event["namespace"]))
        if self._attempt(context, lambda: super(PodTask, self).trigger_reentry(context, event)):  # type: ignore[misc]
            self._concluded = True
            self.keep_answer(context)

    def get_or_create_pod(self, pod_request_obj: V1Pod, context: Any) -> V1Pod:
        """Wait a little before the task is deferred: most verbs take seconds, and so does taking up a task again."""
        try:
            self.pod = super().get_or_create_pod(pod_request_obj, context)  # type: ignore[misc]  # `on_kill` deletes it
        except ApiException as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
            # The answer to an earlier request was lost: no other task gives a pod this name.
            self.pod = pod_request_obj
        self._take_over(self.pod)
        deadline = time.monotonic() + _SHORT_SECONDS
        while True:
            seen = self._look()
            if seen.status.phase in ENDED or time.monotonic() > deadline:
                return seen
            time.sleep(1)

    def find_pod(self, *arguments: Any, **more: Any) -> V1Pod | None:
        """The pod of an earlier try that still runs; none that is about to be deleted."""
        return _staying(super().find_pod(*arguments, **more))  # type: ignore[misc]

    def _get_pod_from_task_state_store(self, context: Any) -> V1Pod | None:
        return _staying(super()._get_pod_from_task_state_store(context))  # type: ignore[misc]

    def _take_over(self, pod: V1Pod) -> None:
        """Mark the pod of an earlier try as this one's. A worker of that try may still live, and leaves it alone."""
        if _try_of(pod) != self._try:
            metadata = {"labels": {_TRY: str(self._try)}}
            self.client.patch_namespaced_pod(pod.metadata.name, pod.metadata.namespace, {"metadata": metadata})

    def process_pod_deletion(self, pod: V1Pod | None, **more: Any) -> bool:
        if pod is not None and _try_of(pod) > self._try:
            log.info("the pod %s stays: a later try of this task waits for it", pod.metadata.name)
            return False
        return bool(super().process_pod_deletion(pod, **more))  # type: ignore[misc]

    def on_kill(self) -> None:
        if self.pod is None or self._is_ours(self.pod):
            super().on_kill()  # type: ignore[misc]

    def _is_ours(self, pod: V1Pod) -> bool:
        """Whether the pod is there, and no later try waits for it."""
        try:
            return _try_of(self._look()) <= self._try
        except (PodNotFoundException, *self.failures) as error:
            log.warning("the pod %s is not deleted: %s", pod.metadata.name, sentence(error))
            return False

    @cached_property
    def pod_manager(self) -> PodManager:
        return QuietPodManager(kube_client=self.client)

    def _look(self) -> V1Pod:
        try:
            return self.pod_manager.read_pod(self.pod)
        except ApiException as error:
            if error.status == HTTPStatus.NOT_FOUND:
                raise PodNotFoundException(GONE) from error
            raise

    def defer(self, *, trigger: Any, **more: Any) -> None:
        _, arguments = trigger.serialize()
        super().defer(trigger=self.trigger_type(**arguments), **more)  # type: ignore[misc]

    def cleanup(self, pod: V1Pod, remote_pod: V1Pod | None, *rest: Any, **more: Any) -> None:
        """Note how the pod has ended, before the operator deletes it."""
        if remote_pod is not None:
            self._ending = ending(remote_pod, self.base_container_name)
            self.result = result.parse(self._ending.message)
        super().cleanup(pod, remote_pod, *rest, **more)  # type: ignore[misc]

    def _attempt(self, context: Any, work: Callable[[], None]) -> bool:
        """Whether the verb is done. Raises what Airflow is to make of any other end.

        What counts is the exit code of the container, whatever went wrong while Airflow looked on.
        """
        try:
            work()
        except AirflowTaskTimeout:
            self.keep_failure(context, ended=TOO_LONG, again=True)
            raise
        except (AirflowException, *self.failures) as error:
            if self._concluded:
                raise
            self._concluded = True
            if not isinstance(error, self.failures):
                return self._judge(context, said=GONE if isinstance(error, PodNotFoundException) else str(error))
            if self._ending is None or self._ending.exit_code is None:
                self._give_up(context, error)
            self._discard()
            return self._judge(context, said=sentence(error))
        return True

    def _judge(self, context: Any, *, said: str) -> bool:
        """The pod has not ended well, or it is not known how."""
        said = said.partition("\n")[0]
        end = self._ending or Ending(None, "", said or GONE)
        if end.exit_code == 0:
            log.info("the pod has ended well, although Airflow lost sight of it: %s", said)
            return True
        answered = end.exit_code is not None and end.exit_code < _KILLED
        if not answered:
            self.result = {}  # what the verb has left says nothing of what ended it
        self.keep_failure(context, ended=end.words, again=not answered)
        if end.exit_code == SKIPPED:
            raise AirflowSkipException(self.last_lines[0]) from None
        if answered:
            raise self.failure(self.last_lines[0]) from None
        raise AirflowException(self.last_lines[0]) from None

    def _give_up(self, context: Any, error: Exception) -> NoReturn:
        """The API of Kubernetes has refused, or gives no answer."""
        refused = is_refused(error)
        if refused:
            self._discard()
        self.keep_failure(context, ended=f"the API of Kubernetes: {sentence(error)}", again=not refused)
        raise (self.failure if refused else AirflowException)(self.last_lines[0]) from None

    def _discard(self) -> None:
        """Delete a pod that no other try will find. It ends by itself at the latest, see `active_deadline_seconds`."""
        pod = self.pod or self._deferred_pod
        if pod is None:
            return
        try:
            self.pod_manager.delete_pod(pod)
        except self.failures as error:
            log.warning("the pod %s may still run: %s", pod.metadata.name, sentence(error))


class PodVerbOperator(PodTask, KubernetesPodOperator):  # type: ignore[misc]
    """A verb as a pod of the cluster that Airflow runs in, or that a connection or KUBECONFIG names."""

    template_fields: Sequence[str] = without_manifest(KubernetesPodOperator.template_fields)

    def __init__(self, **task: Any) -> None:
        super().__init__(**task)  # Airflow wants an operator to have a constructor of its own


class PodAnnounceOperator(AnnouncingTask, PodVerbOperator):
    """The verb `announce` as such a pod."""

    template_fields: Sequence[str] = (*PodVerbOperator.template_fields, "model")

    def __init__(self, **task: Any) -> None:
        super().__init__(**task)  # Airflow wants an operator to have a constructor of its own


def _staying(pod: V1Pod | None) -> V1Pod | None:
    return None if pod is None or pod.metadata.deletion_timestamp else pod


def _try_of(pod: V1Pod) -> int:
    """The number of the try that a pod belongs to. The operator labels it with that."""
    return int((pod.metadata.labels or {}).get(_TRY, 0))


def _literal(variables: Any, of_run: Mapping[str, str]) -> list[V1EnvVar]:
    """The rendered variables, and those of the run instead of the same, as Kubernetes takes them."""
    if isinstance(variables, Mapping):
        variables = [V1EnvVar(name=name, value=value) for name, value in variables.items()]
    values = {each.name: each.value for each in variables} | dict(of_run)
    return [V1EnvVar(name=name, value=literal(str(value))) for name, value in values.items()]
