"""Requests to a whole fleet all the time, from several threads at once, and when which replica answered them."""

import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from serving.client import Client
from serving.errors import DiscoveryError, ServingError
from serving.fleet.fleet import Fleet
from serving.signature import inputs_of
from tests.releases import IMAGES, MODEL

THREADS = 4
# Of each thread, between two requests.
_PAUSE_SECONDS = 0.03


@dataclass(frozen=True)
class Response:
    """An answer.

    Attributes:
        at: when it came, by `time.monotonic()`.
        address: of the replica.
        version: that gave it.
    """

    at: float
    address: str
    version: int


class Traffic:
    """Ask for as long as the `with` block runs. A failed request is recorded, and not raised.

    Several threads share a client, so that one request that waits for a silent replica does not look like a time
    without answers.

    Attributes:
        answers: all answers, in the order in which they came.
        failures: when requests have failed, and why.
    """

    def __init__(self, fleet: Fleet, label: str | None) -> None:
        self.answers: list[Response] = []
        self.failures: list[tuple[float, str]] = []
        self._client = Client(fleet, label=label)
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=[first]) for first in range(THREADS)]

    def __enter__(self) -> Self:
        self._client.__enter__()
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        self._ended = time.monotonic()
        self._client.close()

    @property
    def requests(self) -> int:
        return len(self.answers) + len(self.failures)

    @property
    def longest_gap(self) -> float:
        """The longest time without an answer, in seconds; after the block."""
        moments = [self._began, *(answer.at for answer in self.answers), self._ended]
        return max(later - earlier for earlier, later in zip(moments, moments[1:], strict=False))

    def _ask(self, number: int) -> None:
        while not self._over.wait(_PAUSE_SECONDS):
            number = (number + 1) % len(IMAGES)
            try:
                answer = self._client.predict(MODEL, inputs_of([IMAGES[number]]))
            except (ServingError, DiscoveryError) as error:
                self.failures.append((time.monotonic(), str(error)))
            else:
                self.answers.append(Response(time.monotonic(), answer.address, answer.version))
