"""Requests to a whole fleet at a constant rate, and when which replica answered them."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from types import TracebackType
from typing import Self

from serving.client import Client
from serving.errors import DiscoveryError, ServingError
from serving.fleet.fleet import Fleet
from serving.signature import inputs_of
from tests.releases import IMAGES, MODEL

# In a second. Users do not wait for the answers of others: a request is sent when it is due.
RATE = 60.0
# More than are ever under way: those of the longest time that a request may take.
_THREADS = 400


@dataclass(frozen=True)
class Response:
    """An answer.

    Attributes:
        at: when it came, by `time.monotonic()`.
        seconds: how long it took.
        address: of the replica.
        version: that gave it.
    """

    at: float
    seconds: float
    address: str
    version: int


class Traffic:
    """Ask for as long as the `with` block runs. A failed request is recorded, and not raised.

    Attributes:
        answers: all answers, in the order in which they came.
        failures: when requests have failed, and why.
    """

    def __init__(self, fleet: Fleet, label: str | None) -> None:
        self.answers: list[Response] = []
        self.failures: list[tuple[float, str]] = []
        self._client = Client(fleet, label=label)
        self._over = threading.Event()
        self._users = ThreadPoolExecutor(_THREADS)
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> Self:
        self._client.__enter__()
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._ended = time.monotonic()
        self._users.shutdown()
        self._client.close()

    @property
    def requests(self) -> int:
        return len(self.answers) + len(self.failures)

    @property
    def longest_gap(self) -> float:
        """The longest time without an answer, in seconds; after the block."""
        moments = [self._began, *(answer.at for answer in self.answers if answer.at < self._ended), self._ended]
        return max(later - earlier for earlier, later in pairwise(moments))

    @property
    def slowest(self) -> float:
        """How long the slowest answer took, in seconds."""
        return max(answer.seconds for answer in self.answers)

    def _send(self) -> None:
        number = 0
        while not self._over.wait(max(self._began + number / RATE - time.monotonic(), 0.0)):
            self._users.submit(self._ask, IMAGES[number % len(IMAGES)])
            number += 1

    def _ask(self, image: bytes) -> None:
        sent = time.monotonic()
        try:
            answer = self._client.predict(MODEL, inputs_of([image]))
        except (ServingError, DiscoveryError) as error:
            self.failures.append((time.monotonic(), str(error)))
        else:
            now = time.monotonic()
            self.answers.append(Response(now, now - sent, answer.address, answer.version))
