"""The scripts of docker/serving, run outside of a container with a stand-in for what the base image has."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.ports import free_port

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / "docker" / "serving"
ENTRYPOINT = FOLDER / "entrypoint.sh"
HEALTHCHECK = FOLDER / "healthcheck.sh"
BINARY = "tensorflow_model_server"
# The embedded server, for the classifiers of tests/fleet.py.
SERVER = f"exec {shlex.quote(sys.executable)} -m tests.serving_image.server"


def install(folder: Path, command: str) -> dict[str, str]:
    """Install a command under the name of the model server; the variables by which a shell finds it."""
    folder.mkdir(exist_ok=True)
    program = folder / BINARY
    program.write_text(f'#!/bin/sh\n{command} "$@"\n')
    program.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(PROJECT)}


@contextmanager
def started(folder: Path, *words: str, **variables: str) -> Iterator["subprocess.Popen[bytes]"]:
    """The entry point with the embedded server, on free ports unless variables name others; killed at the end."""
    ports = {"PORT": str(free_port()), "REST_PORT": str(free_port())}
    environment = os.environ | install(folder / "bin", SERVER) | ports | variables
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([ENTRYPOINT, *words], cwd=PROJECT, env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)


def health(mode: str = "alive", **variables: str) -> "subprocess.CompletedProcess[str]":
    """What the health check of the image says with these variables."""
    environment: Mapping[str, str] = {"PATH": os.environ["PATH"], **variables}
    return subprocess.run([HEALTHCHECK, mode], env=environment, capture_output=True, text=True, check=False)


def healthy(mode: str = "alive", **variables: str) -> bool:
    return health(mode, **variables).returncode == 0
