"""A verb as a pod of a GKE cluster, for an Airflow outside it.

Imported only where the file of pods names such a cluster: it loads the clients of Google Cloud.
"""

from collections.abc import Sequence
from typing import Any

from airflow.providers.google.cloud.operators.kubernetes_engine import GKEStartPodOperator
from airflow.providers.google.cloud.triggers.kubernetes_engine import GKEStartPodTrigger
from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import GoogleAuthError

from dags.tasks.announcing_task import AnnouncingTask
from dags.tasks.api_errors import FAILURES
from dags.tasks.pod_settings import Gke
from dags.tasks.pod_trigger import PatientTrigger
from dags.tasks.pods import ENDED, PodTask, without_manifest


class GkeStepTrigger(PatientTrigger, GKEStartPodTrigger):  # type: ignore[misc]  # Airflow is untyped for us
    """Looks at a pod of a GKE cluster."""


class GkeVerbOperator(PodTask, GKEStartPodOperator):  # type: ignore[misc]
    """A verb as a pod of the GKE cluster that a project, a location and a name say."""

    template_fields: Sequence[str] = without_manifest(GKEStartPodOperator.template_fields)
    trigger_type = GkeStepTrigger
    failures = (*FAILURES, GoogleAPICallError, GoogleAuthError)

    def __init__(self, **task: Any) -> None:
        super().__init__(**task)  # Airflow wants an operator to have a constructor of its own

    def invoke_defer_method(self, last_log_time: Any = None, context: Any = None) -> None:
        """Go on at once with a pod that has ended, as the operator of other clusters does."""
        pod = self.pod
        if context is None or pod is None or pod.status is None or pod.status.phase not in ENDED:
            super().invoke_defer_method(last_log_time, context)
            return
        event = {
            "status": "success" if pod.status.phase == "Succeeded" else "failed",
            "name": pod.metadata.name,
            "namespace": pod.metadata.namespace,
            "message": f"the pod has ended: {pod.status.phase}",
            "last_log_time": last_log_time,
        }
        self.trigger_reentry(context, event)


class GkeAnnounceOperator(AnnouncingTask, GkeVerbOperator):
    """The verb `announce` as such a pod."""

    template_fields: Sequence[str] = (*GkeVerbOperator.template_fields, "model")

    def __init__(self, **task: Any) -> None:
        super().__init__(**task)  # Airflow wants an operator to have a constructor of its own


def gke_step(cluster: Gke, *, announces: bool, **task: Any) -> Any:
    """The task that runs a verb as a pod of this cluster; see `dags.tasks.pod_step.pod_step`."""
    return (GkeAnnounceOperator if announces else GkeVerbOperator)(
        project_id=cluster.project,
        location=cluster.location,
        cluster_name=cluster.cluster,
        use_dns_endpoint=cluster.dns_endpoint,
        gcp_conn_id=cluster.connection,
        **task,
    )
