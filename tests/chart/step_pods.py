"""The pods that Airflow makes of the file that the chart writes, and the calls that it makes for that."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import airflow.providers.cncf.kubernetes as cncf
import airflow.providers.google.cloud as google
import yaml

from dags.tasks.pod_manifest import manifest
from dags.tasks.pod_settings import VERBS, PodSettings
from tests.chart.helm import Manifest, of_kind

# Steps as pods, on top of any values file.
ENABLED = (
    "stepPods.enabled=true",
    "rbac.airflowServiceAccounts={airflow-scheduler,airflow-triggerer}",
    "networkPolicy.mlflow.mlflow.namespace=mlflow",
)

# What the right to call a method of the client is called in a Role: group, resource, verb. `watch` in front of a method
# means that it is called by a Watch of the client.
CALLS = {
    "create_namespaced_pod": ("", "pods", "create"),
    "read_namespaced_pod": ("", "pods", "get"),
    # A task that is tried again looks for its pod.
    "list_namespaced_pod": ("", "pods", "list"),
    # A pod that has failed is marked as seen.
    "patch_namespaced_pod": ("", "pods", "patch"),
    "delete_namespaced_pod": ("", "pods", "delete"),
    # With a Watch too: it then follows the log, which is still `get`.
    "read_namespaced_pod_log": ("", "pods/log", "get"),
    "watch read_namespaced_pod_log": ("", "pods/log", "get"),
    "list_namespaced_event": ("", "events", "list"),
    "watch list_namespaced_event": ("", "events", "watch"),
}
# Calls of the same modules that are not made for steps, and why.
NOT_MADE = {
    "watch connect_get_namespaced_pod_exec": "for the sidecars of XCom, which no step has, and of Istio",
}
_PLACES = {
    cncf: ("operators/pod.py", "triggers/pod.py", "utils/pod_manager.py", "hooks/kubernetes.py"),
    google: ("operators/kubernetes_engine.py", "triggers/kubernetes_engine.py", "hooks/kubernetes_engine.py"),
}


def settings_in(objects: Sequence[Manifest]) -> PodSettings:
    """What the chart says about the pods of steps, as Airflow understands it."""
    (found,) = [each for name, each in of_kind(objects, "ConfigMap").items() if name.endswith("-pods")]
    return PodSettings.model_validate(yaml.safe_load(found["data"]["pods.yaml"]))


def step_pods(objects: Sequence[Manifest]) -> dict[str, dict[str, Any]]:
    """The pod of each verb that the file does not make a local process, by the verb."""
    pods = settings_in(objects)
    fields = {verb: pods.of(verb) for verb in VERBS}
    return {verb: manifest(each, verb=verb) for verb, each in fields.items() if each.execution != "local"}


def provider_calls() -> set[str]:
    """The methods of CoreV1Api in the source of the operators, triggers and hooks that steps use."""
    found = set()
    for package, names in _PLACES.items():
        for name in names:
            found |= set(_calls(ast.parse((Path(package.__path__[0]) / name).read_text(encoding="utf-8"))))
    return found


def _calls(tree: ast.AST) -> Iterator[str]:
    streamed = set()
    for node in ast.walk(tree):
        # watch.stream(api.list_...), and the function `stream` of the client for `exec`.
        if isinstance(node, ast.Call) and _name(node.func).endswith("stream"):
            streamed |= {id(each) for each in node.args}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _is_request(node.attr):
            yield f"watch {node.attr}" if id(node) in streamed else node.attr


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _is_request(name: str) -> bool:
    from kubernetes.client import CoreV1Api

    return hasattr(CoreV1Api, f"{name}_with_http_info")
