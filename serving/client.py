"""The client an application uses: asks the replicas of a fleet in turn, for whatever serves."""

import itertools
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from serving.errors import NotServedError, UnreachableError
from serving.fleet import Fleet
from serving.replica import STABLE, Answer, Replica
from serving.wire import Array


class Client:
    """A round-robin client. May be used from several threads.

    Args:
        fleet: whom to ask.
        label: what serves; None where servers know no labels, and answer from the newest version they have.
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
        """Outputs of the version that serves.

        A replica may be up before the labelled version is, or be gone: the next one is asked, once.

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
