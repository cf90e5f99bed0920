"""A verb as a pod of a GKE cluster, for an Airflow outside it.

Imported only where the file of pods names such a cluster: it loads the clients of Google Cloud.
"""

from collections.abc import Sequence
from typing import Any

from airflow.providers.google.cloud.operators.kubernetes_engine import GKEStartPodOperator
from airflow.providers.google.cloud.triggers.kubernetes_engine import GKEStartPodTrigger

from dags.tasks.announcing_task import AnnouncingTask
from dags.tasks.pod_settings import Gke
from dags.tasks.pod_trigger import PatientTrigger
from dags.tasks.pods import PodTask


class GkeStepTrigger(PatientTrigger, GKEStartPodTrigger):  # type: ignore[misc]  # Airflow is untyped for us
    """Looks at a pod of a GKE cluster."""


class GkeVerbOperator(PodTask, GKEStartPodOperator):  # type: ignore[misc]
    """A verb as a pod of the GKE cluster that a project, a location and a name say."""

    trigger_type = GkeStepTrigger

    def __init__(self, **task: Any) -> None:
        super().__init__(**task)  # Airflow wants an operator to have a constructor of its own


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
