"""Pods for tests of the double itself, and waiting for what becomes of them."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from tests.kubernetes.images import Image

Found = TypeVar("Found")

NAMESPACE = "understudy"
SHELL = "registry.example/shell:1"
# Runs its argument as a shell script.
IMAGES = {SHELL: Image(entrypoint=["/bin/sh", "-c"], env={"PATH": "/usr/bin:/bin"})}
_PATIENCE_SECONDS = 30.0


def shell_pod(script: str, *, name: str = "step", verb: str = "train", **spec: Any) -> dict[str, Any]:
    """A pod that runs a shell script; more fields of its container under `container`, of its spec by name."""
    container = {"name": "base", "image": SHELL, "args": [script], **spec.pop("container", {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"understudy/verb": verb}},
        "spec": {"restartPolicy": "Never", "containers": [container], **spec},
    }


def wait_for(found: Callable[[], Found | None]) -> Found:
    """What is found, as soon as it is not None or False.

    Raises:
        TimeoutError: nothing was found for a long time.
    """
    ends = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < ends:
        if result := found():
            return result
        time.sleep(0.01)
    raise TimeoutError(f"{found} found nothing within {_PATIENCE_SECONDS:.0f} s")


def log_of(core: Any, name: str = "step", **query: Any) -> str:
    """A log in one piece. Kubernetes' client would give the text of a bytes literal if it read the answer itself."""
    with core.read_namespaced_pod_log(name, NAMESPACE, _preload_content=False, **query) as answer:
        return str(answer.read().decode())
