"""A gateway for tests: in a thread with a port of its own, or in a process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI

from serving.gateway.application import create_app
from serving.gateway.settings import Limits, Settings, parse_model
from tests.ports import free_port
from tests.serving.client.servers import eventually


@dataclass(frozen=True)
class RunningGateway:
    url: str
    app: FastAPI


@contextmanager
def gateway(*models: str, limits: Limits | None = None, latest: bool = False) -> Iterator[RunningGateway]:
    """A gateway for models as on its command line, `NAME=SOURCE`."""
    parsed = [parse_model(text, latest=latest, tls=None) for text in models]
    port = free_port()
    app = create_app(Settings(models=parsed, port=port, limits=limits or Limits()))
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, name="gateway")
    thread.start()
    try:
        eventually(lambda: server.started or not thread.is_alive())
        yield RunningGateway(f"http://127.0.0.1:{port}", app)
    finally:
        server.should_exit = True
        thread.join()
