"""The client of an application: asks the replicas of a fleet in turn for the serving version."""

import itertools
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from serving.errors import NotServedError, UnreachableError
from serving.fleet.fleet import Fleet
from serving.replica import STABLE, Answer, Replica
from serving.wire import Array


class Client:
    """A round-robin client.

    Safe to use from several threads; use it as a context manager, which closes its connections.

    Args:
        fleet: the replicas to ask.
        label: the label of the serving version; None if servers have no labels, and answer from the newest version.
        timeout: of one request, in seconds.
    """

    def __init__(self, fleet: Fleet, *, label: str | None = STABLE, timeout: float = 5.0) -> None:
        self._label = label
        self._fleet = fleet
        self._timeout = timeout
        self._turn = itertools.count()
        self._replicas: dict[str, Replica] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for replica in self._replicas.values():
            replica.close()

    def predict(self, model: str, inputs: Mapping[str, Array]) -> Answer:
        """The outputs of the serving version, for a batch of inputs by name.

        A replica may be down, or may not have loaded the version yet. Then the next one is asked, once.

        Raises:
            ServingError: two replicas could not answer, or one refused the request itself.
        """
        addresses = self._fleet.addresses()
        turn = next(self._turn)
        try:
            return self._ask(addresses[turn % len(addresses)], model, inputs)
        except (NotServedError, UnreachableError):
            return self._ask(addresses[(turn + 1) % len(addresses)], model, inputs)

    def _ask(self, address: str, model: str, inputs: Mapping[str, Array]) -> Answer:
        with self._lock:
            if address not in self._replicas:
                self._replicas[address] = self._fleet.connect(address, timeout=self._timeout)
            replica = self._replicas[address]
        return replica.predict(model, inputs, label=self._label)
