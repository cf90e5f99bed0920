"""A cluster for the steps of one process that plays DAGs: the double of Kubernetes, and an image with a fake pipeline.

Pods inherit nothing of Airflow's environment. What the fake pipeline must know is in the environment of its image.
"""

import asyncio
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.dags.playing import be_brief
from tests.kubernetes.api import KubernetesApi
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.images import Image
from tests.kubernetes.objects import secret, service_account
from tests.kubernetes.pods import delete_pod
from tests.kubernetes.resources import PODS, SECRETS, SERVICE_ACCOUNTS, parse_request

NAMESPACE, IMAGE, SECRET = "understudy", "registry.example/understudy-pipeline:1", "the-key-of-the-bucket"
_OF_IMAGE = ("PATH", "PYTHONPATH", "UNDERSTUDY_MODELS", "FAKE_CALLS", "FAKE_FORK_SERVER")
_PROJECT = Path(__file__).parents[2]


@dataclass
class PlayedCluster:
    """The cluster, and what the verbs know.

    Attributes:
        variables: the environment of the image; a change counts for the pods that come.
    """

    api: KubernetesApi
    variables: dict[str, str]

    def left(self) -> list[str]:
        """The names of the pods that exist, and that nobody has deleted."""
        found = [pod["metadata"] for pod in self.api.cluster.list(PODS, NAMESPACE, {})]
        return [each["name"] for each in found if "deletionTimestamp" not in each]

    def end(self, line: str) -> None:
        """Delete the pods that run, with a grace period, as soon as their verbs have written a line."""
        while not all(line in run.log.text() for run in self.api.kubelet.runs[-1:]):
            time.sleep(0.02)
        for name in self.left():
            path = f"/api/v1/namespaces/{NAMESPACE}/{PODS}/{name}"
            request = parse_request("DELETE", path, {})
            assert request is not None
            delete_pod(self.api.cluster, request, {})

    def clear(self) -> None:
        """Delete the pods that are left."""
        for name in self.left():
            self.api.cluster.remove(PODS, name, namespace=NAMESPACE)

    def ran(self) -> int:
        """How many pods there have been."""
        return len(self.api.kubelet.runs)


@contextmanager
def played_cluster() -> Iterator[PlayedCluster]:
    """Serve it at the address that KUBECONFIG, which is written, has."""
    variables = {name: os.environ[name] for name in _OF_IMAGE}
    image = Image(env=variables, directory=_PROJECT, programs={"python": os.environ["FAKE_PYTHON"]})
    cluster = Cluster(namespaces={NAMESPACE})
    cluster.put(SECRETS, secret("minio", key=SECRET), namespace=NAMESPACE)
    cluster.put(SERVICE_ACCOUNTS, service_account("understudy-pipeline"), namespace=NAMESPACE)
    with KubernetesApi(cluster, images={IMAGE: image}) as api:
        Path(os.environ["KUBECONFIG"]).write_text(api.kubeconfig(namespace=NAMESPACE), encoding="utf-8")
        yield PlayedCluster(api, variables)


class Deferrals(logging.Handler):
    """Counts how often a trigger looks at a pod."""

    def __init__(self) -> None:
        super().__init__()
        self.number = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.number += "running trigger" in record.getMessage()

    def have_begun(self) -> bool:
        return self.number > 0


def tell(lines: list[list[Any]], number: int) -> dict[str, str]:
    """What the verb writes in its first try, and how many seconds it waits after each line."""
    until = Path(os.environ["AIRFLOW_HOME"]) / f"until-{number}"
    return {"FAKE_LINES": json.dumps(lines), "FAKE_WAIT_UNTIL": str(until)}


def be_brief_with_pods() -> None:
    """Make Airflow and its triggers wait less, for as long as this process lives."""
    be_brief()
    sleep = asyncio.sleep

    async def sleep_briefly(seconds: float, result: Any = None) -> Any:
        return await sleep(min(seconds, 0.05), result)

    patch("asyncio.sleep", sleep_briefly).start()
