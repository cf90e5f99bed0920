"""Versions of one model that appear while a server watches, complete from the first moment."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from bench.serving.processes import BenchError
from serving.apis import get_model_status_pb2, model_service_pb2_grpc

DEADLINE_SECONDS = 120.0
WATCH_SECONDS = 0.05

Status = get_model_status_pb2.ModelVersionStatus


class Versions:
    """Copies of one SavedModel under rising numbers."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.folder = folder
        self._source = source
        self._next = folder.with_name(f"{folder.name}.next")
        self._last = 0
        folder.mkdir(parents=True)

    def publish(self) -> tuple[int, float]:
        """The number of a new version, and when on the monotonic clock it appeared; copying it is over by then."""
        # Links: to copy megabytes on the cores under measurement would be charged to the server.
        shutil.copytree(self._source, self._next, copy_function=os.link)
        self._last += 1
        appeared = time.monotonic()
        self._next.rename(self.folder / str(self._last))
        return self._last, appeared

    @contextmanager
    def watched(self, port: int, model: str) -> Iterator[Callable[[int], tuple[float, float]]]:
        """A call that waits for a version's load and says from when to when, on the monotonic clock."""
        with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.enable_http_proxy", 0)]) as channel:
            stub: Any = model_service_pb2_grpc.ModelServiceStub(channel)
            yield lambda version: _load_span(stub, model, version)


def _load_span(stub: Any, model: str, version: int) -> tuple[float, float]:
    asked = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": model, "version": {"value": version}})
    deadline, start = time.monotonic() + DEADLINE_SECONDS, 0.0
    while time.monotonic() < deadline:
        before = time.monotonic()
        state = _state(stub, asked)
        if state == Status.LOADING:
            start = start or before
        elif state == Status.AVAILABLE:
            return start or before, time.monotonic()
        elif state == Status.END:
            break
        time.sleep(WATCH_SECONDS)
    raise BenchError(f"version {version} of {model} did not become available")


def _state(stub: Any, asked: Any) -> int:
    """Its state, or START for one that the server has not seen yet."""
    try:
        (status,) = stub.GetModelStatus(asked, timeout=10).model_version_status
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.NOT_FOUND:
            return int(Status.START)
        raise
    return int(status.state)
