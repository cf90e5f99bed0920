"""The double as a program of its own, and `kubectl` as its client."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.kubernetes.manifests import NAMESPACE, SHELL, shell_pod, wait_for
from tests.ports import free_port


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Path]:
    """The kubeconfig of the double, which runs as a program."""
    file = tmp_path / "kubeconfig"
    options = ["--port", str(free_port()), "--kubeconfig", str(file), "--namespace", NAMESPACE]
    images = ["--image", f"{SHELL}=/bin/sh -c", "--env", "PATH=/usr/bin:/bin", "--env", "GREETING=hello"]
    secrets = ["--secret", 'minio={"key": "s3cret"}', "--service-account", "pipeline"]
    faults = ["--fault", "killed:verb=train:line=epoch 2"]
    command = [sys.executable, "-m", "tests.kubernetes", *options, *images, *secrets, *faults]
    process = subprocess.Popen(command)
    try:
        wait_for(lambda: file.exists() and file.stat().st_size)
        yield file
    finally:
        process.terminate()
        assert 0 == process.wait(30)


def kubectl(kubeconfig: Path, *words: str, text: str = "") -> str:
    env = {**os.environ, "KUBECONFIG": str(kubeconfig), "HOME": str(kubeconfig.parent)}
    done = subprocess.run(
        ["kubectl", *words], env=env, input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


def table(text: str) -> Sequence[Sequence[str]]:
    return [line.split()[:3] for line in text.splitlines()]


def test_kubectl_runs_follows_describes_and_deletes_a_pod(program: Path) -> None:
    env = [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "minio", "key": "key"}}}]
    manifest = shell_pod(
        "echo $GREETING $KEY; sleep 0.1; echo bye", verb="probe", serviceAccountName="pipeline", container={"env": env}
    )
    kubectl(program, "create", "--validate=false", "--filename=-", text=json.dumps(manifest))

    assert "hello s3cret\nbye\n" == _followed(program)
    assert [["NAME", "READY", "STATUS"], ["step", "0/1", "Completed"]] == table(kubectl(program, "get", "pods"))
    assert "Started container base" in kubectl(program, "describe", "pod", "step")
    assert "pod/step patched\n" == kubectl(program, "patch", "pod", "step", "-p", '{"metadata":{"labels":{"a":"b"}}}')
    assert "pod/step\n" == kubectl(program, "get", "pods", "-l", "a in (b,c),!d", "-o", "name")
    assert 'pod "step" deleted\n' == kubectl(program, "delete", "pod", "step")
    assert "" == kubectl(program, "get", "pods", "-o", "name")


def _followed(program: Path) -> str:
    kubectl(program, "wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/step", "--timeout=30s")
    return kubectl(program, "logs", "--follow", "step")


def test_kubectl_watches_pods_and_the_program_has_the_faults_of_its_command_line(program: Path) -> None:
    kubectl(program, "create", "--validate=false", "--filename=-", text=json.dumps(shell_pod("echo epoch 2; sleep 60")))
    kubectl(program, "wait", "--for=jsonpath={.status.phase}=Failed", "pod/step", "--timeout=30s")
    env = {**os.environ, "KUBECONFIG": str(program), "HOME": str(program.parent)}
    with subprocess.Popen(
        ["kubectl", "get", "pods", "--watch"], env=env, stdout=subprocess.PIPE, text=True
    ) as watching:
        assert watching.stdout is not None
        shown = [watching.stdout.readline().split()[:3] for _ in range(2)]
        kubectl(program, "delete", "pod", "step")
        last = watching.stdout.readline().split()[:3]
        watching.terminate()

    assert [["NAME", "READY", "STATUS"], ["step", "0/1", "Error"]] == shown
    assert "step" == last[0]
