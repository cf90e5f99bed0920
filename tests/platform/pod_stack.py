"""The stack of `make up` with its steps as pods of a server that speaks the Kubernetes API and runs their commands."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from embedded.airflow_api import AirflowApi
from embedded.settings import PROJECT, StackSettings
from embedded.supervision import supervisor
from tests.kubernetes.api import KubernetesApi
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.faults import VERB_LABEL
from tests.kubernetes.images import Image
from tests.kubernetes.resources import PODS
from tests.ports import free_ports

NAMESPACE = "understudy"
IMAGE = "registry.example/understudy-pipeline:1"
PODS_FILE = f"""\
namespace: {NAMESPACE}
image: {IMAGE}
resources: {{requests: {{cpu: 250m, memory: 1Gi}}, limits: {{memory: 2Gi}}}}
"""


@dataclass(frozen=True)
class PodStack:
    """A stack that is up.

    Attributes:
        settings: its folder and ports.
        kubernetes: the cluster of its pods.
        environment: of its processes, for verbs.
    """

    settings: StackSettings
    kubernetes: KubernetesApi
    environment: dict[str, str]

    def understudy(self, *words: str) -> str:
        """What a verb prints."""
        return _run("pipeline", *words, environment=self.environment)

    def airflow(self) -> AirflowApi:
        return AirflowApi.of_stack(self.settings)

    def kill(self, process: str) -> int:
        """Kill a process of the stack, which is started again; its process number of before."""
        pid = supervisor.states(self.settings)[process].pid
        assert pid is not None
        for each in [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]:
            each.kill()
        return pid

    def pods(self, dag_id: str) -> dict[str, Any]:
        """The pods of a DAG that exist, by the verb that they run."""
        found = self.kubernetes.cluster.list(PODS, NAMESPACE, {"labelSelector": f"dag_id={dag_id}"})
        return {label(pod, VERB_LABEL): pod for pod in found}


def label(pod: Any, name: str) -> str:
    return str(pod["metadata"]["labels"].get(name, ""))


@contextmanager
def pod_stack(folder: Path) -> Iterator[PodStack]:
    """A stack in this folder, until the block ends."""
    models = folder / "models"
    models.mkdir()
    digits = (PROJECT / "models" / "digits.yaml").read_text(encoding="utf-8")
    (models / "digits.yaml").write_text(digits, encoding="utf-8")
    (folder / "pods.yaml").write_text(PODS_FILE, encoding="utf-8")
    # All that a pod has beside what Airflow gives it: what the image has.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.defpath])
    in_image = {"PATH": path, "PYTHONPATH": str(PROJECT), "UNDERSTUDY_MODELS": str(models), "HOME": str(folder)}
    image = Image(env=in_image, directory=str(PROJECT), programs={"python": sys.executable})
    with KubernetesApi(Cluster(namespaces={"default", NAMESPACE}), images={IMAGE: image}) as kubernetes:
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(kubernetes.kubeconfig(namespace=NAMESPACE), encoding="utf-8")
        environment = _environment(folder, models, kubeconfig)
        settings = StackSettings(
            var=folder / "var",
            airflow_port=int(environment["UNDERSTUDY_AIRFLOW_PORT"]),
            mlflow_port=int(environment["UNDERSTUDY_MLFLOW_PORT"]),
        )
        try:
            _run("embedded", "up", environment=environment)
            yield PodStack(settings, kubernetes, environment)
        finally:
            _run("embedded", "down", environment=environment)


def _environment(folder: Path, models: Path, kubeconfig: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "UNDERSTUDY"))}
    first = free_ports(*range(1, 6))
    return inherited | {
        "PYTHONPATH": str(PROJECT),
        "KUBECONFIG": str(kubeconfig),
        "UNDERSTUDY_VAR": str(folder / "var"),
        "UNDERSTUDY_MODELS": str(models),
        "UNDERSTUDY_AIRFLOW_PORT": str(first),
        "UNDERSTUDY_MLFLOW_PORT": str(first + 1),
        # REST has the next port.
        "UNDERSTUDY_SERVING_PORTS": f"{first + 2},{first + 4}",
        "UNDERSTUDY_EXECUTION": "pod",
        "UNDERSTUDY_PODS": str(folder / "pods.yaml"),
    }


def _run(module: str, *words: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (
        f"{module} {' '.join(words)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    )
    return done.stdout


def wait_until(is_so: Callable[[], Any], *, what: str, seconds: float = 120) -> Any:
    """What `is_so` returns as soon as that is true.

    Raises:
        AssertionError: it is not within this time, which only bounds a test that has failed.
    """
    deadline = time.monotonic() + seconds
    while not (found := is_so()):
        assert time.monotonic() < deadline, what
        time.sleep(0.2)
    return found
