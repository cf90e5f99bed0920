"""The events of pods, as the scheduler and the kubelet record them."""

import itertools
from collections.abc import Mapping
from typing import Any

from tests.kubernetes import moments
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.resources import EVENTS

SCHEDULER, KUBELET = "default-scheduler", "kubelet"
_numbers = itertools.count(1)


def record_event(
    cluster: Cluster,
    pod: Mapping[str, Any],
    reason: str,
    message: str,
    *,
    normal: bool = True,
    component: str = KUBELET,
) -> None:
    metadata, moment = pod["metadata"], moments.now()
    container = pod["spec"]["containers"][0]["name"]
    of_container = component == KUBELET and reason not in ("Evicted", "DeadlineExceeded")
    involved = {
        "kind": "Pod",
        "apiVersion": "v1",
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "resourceVersion": metadata["resourceVersion"],
        **({"fieldPath": f"spec.containers{{{container}}}"} if of_container else {}),
    }
    event = {
        "metadata": {"name": f"{metadata['name']}.{next(_numbers):016x}", "namespace": metadata["namespace"]},
        "involvedObject": involved,
        "reason": reason,
        "message": message,
        "type": "Normal" if normal else "Warning",
        "source": {"component": component},
        "reportingComponent": component,
        "reportingInstance": "",
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "eventTime": None,
        "count": 1,
    }
    cluster.create(EVENTS, event)
