from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from serving.model_server.batching.parameters import BatchingParameters
from tests.serving.model_server.batching.gated import Clients, Gated

MakeClients = Callable[..., Clients]


@pytest.fixture
def make_clients() -> Iterator[MakeClients]:
    """Clients of a model of their own, of one batch thread unless asked otherwise; all is over with the test."""
    made: list[Clients] = []
    with ThreadPoolExecutor(16) as pool:

        def make(inner: Any = None, **parameters: Any) -> Clients:
            settings = {"num_batch_threads": 1} | parameters
            made.append(Clients(inner or Gated(), BatchingParameters(**settings), pool))
            return made[-1]

        yield make
        for clients in made:
            clients.model.close()
            clients.scheduler.stop()
