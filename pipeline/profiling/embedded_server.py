"""The embedded model server as a process of its own on this machine, with one version of a model."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import CouldNotTellError, FailedError
from pipeline.stack_file import PROJECT
from serving.errors import ServingError
from serving.grpc_replica import GrpcReplica
from serving.server_flags import BasePathSource, replica_flags

COMMAND = (sys.executable, "-m", "serving.model_server")
_STOP_SECONDS = 20.0
_LOOK_SECONDS = 0.2
_LAST_LINES = 5


@dataclass(frozen=True, kw_only=True)
class Served:
    """What a server serves.

    Attributes:
        model: the name of the model.
        version: its number.
        folder: the SavedModel.
    """

    model: str
    version: int
    folder: Path


@contextmanager
def embedded_server(
    served: Served,
    *,
    batching: str | None,
    start_seconds: float = 120.0,
    command: Sequence[str] = COMMAND,
) -> Iterator[str]:
    """The address of a server that has loaded the version. It ends with the block.

    Args:
        served: the version.
        batching: the content of its batching parameters file; None for no batching.
        start_seconds: until it has loaded the version.
        command: the program.

    Raises:
        FailedError: the server has ended; with the last lines of its log.
        CouldNotTellError: the version is not loaded after that time.
    """
    with tempfile.TemporaryDirectory(prefix="understudy-profile-") as scratch:
        folder = Path(scratch)
        base_path = folder / served.model
        base_path.mkdir()
        (base_path / str(served.version)).symlink_to(served.folder.absolute(), target_is_directory=True)
        port = _free_port()
        flags = replica_flags(BasePathSource(model=served.model, uri=str(base_path)), port=port, load_retries=0)
        with _process([*command, *flags, *_batching_flags(folder, batching)], folder / "log") as process:
            address = f"127.0.0.1:{port}"
            _wait_until_loaded(process, served, address, log=folder / "log", seconds=start_seconds)
            yield address


def _batching_flags(folder: Path, parameters: str | None) -> list[str]:
    if parameters is None:
        return []
    file = folder / "batching.pbtxt"
    file.write_text(parameters)
    return ["--enable_batching=true", f"--batching_parameters_file={file}"]


@contextmanager
def _process(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        # In a session of its own: Ctrl-C is for this program, which ends the server when it has shown what it knows.
        process = subprocess.Popen(
            command, cwd=PROJECT, env=_environment(), stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _environment() -> Mapping[str, str]:
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}


def _wait_until_loaded(
    process: subprocess.Popen[bytes], served: Served, address: str, *, log: Path, seconds: float
) -> None:
    ends = time.monotonic() + seconds
    with GrpcReplica(address, timeout=5.0) as replica:
        while not _is_loaded(replica, served):
            if process.poll() is not None:
                raise FailedError(
                    f"the model server with v{served.version} of {served.model} ended with exit code "
                    f"{process.returncode}: {_last_lines(log)}"
                )
            if time.monotonic() > ends:
                raise CouldNotTellError(
                    f"v{served.version} of {served.model} is not loaded after {seconds:g} s: {_last_lines(log)}"
                )
            time.sleep(_LOOK_SECONDS)


def _is_loaded(replica: GrpcReplica, served: Served) -> bool:
    try:
        status = replica.status(served.model, served.version)
    except ServingError:
        return False
    return status is not None and status.available


def _last_lines(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n")
    return " | ".join([line for line in lines if line.strip()][-_LAST_LINES:]) or "its log is empty"


def _free_port() -> int:
    """One that nothing listens on now; the server says so if that has changed until it starts."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
