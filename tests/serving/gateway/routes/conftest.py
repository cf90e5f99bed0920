from collections.abc import Iterator

import httpx
import pytest

from tests.serving.gateway.running import gateway
from tests.serving.gateway.typed import MODELS, Address, typed_server


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """A model server with several models, see `tests.serving.gateway.typed`."""
    with typed_server(tmp_path_factory.mktemp("models")) as address:
        yield address


@pytest.fixture(scope="package")
def client(server: Address) -> Iterator[httpx.Client]:
    """A client of a gateway for that server."""
    with (
        gateway(*(f"{model}={server.grpc}" for model in MODELS)) as running,
        httpx.Client(base_url=running.url, timeout=30) as opened,
    ):
        yield opened


@pytest.fixture(scope="package")
def direct(server: Address) -> Iterator[httpx.Client]:
    """A client of the server's own REST port."""
    with httpx.Client(base_url=server.rest, timeout=30) as opened:
        yield opened
