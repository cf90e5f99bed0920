import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kubernetes.api import KubernetesApi
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.manifests import IMAGES, NAMESPACE, wait_for

# A third client, where there is one. The other tests use the two that Airflow uses, and these are always there.
collect_ignore = [] if shutil.which("kubectl") else ["test_kubectl.py"]


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    with KubernetesApi(Cluster(namespaces={"default", NAMESPACE}), images=IMAGES) as running:
        yield running


@pytest.fixture
def kubeconfig(api: KubernetesApi, tmp_path: Path) -> Path:
    file = tmp_path / "kubeconfig"
    file.write_text(api.kubeconfig(namespace=NAMESPACE))
    return file


@pytest.fixture
def core(kubeconfig: Path) -> Iterator[Any]:
    """Kubernetes' own client, from the kubeconfig of the server."""
    from kubernetes import client, config

    with config.new_client_from_config(str(kubeconfig)) as connection:
        yield client.CoreV1Api(connection)


@pytest.fixture
def run(core: Any) -> Callable[[Any], Any]:
    """Creates a pod, and gives it when it has ended."""

    def run_pod(manifest: Any) -> Any:
        name = core.create_namespaced_pod(NAMESPACE, manifest).metadata.name
        return wait_for(lambda: ended(core, name))

    return run_pod


def ended(core: Any, name: str) -> Any:
    found = core.read_namespaced_pod(name, NAMESPACE)
    return found if found.status.phase in ("Succeeded", "Failed") else None
