"""A client that asks the fleet all the time and remembers every answer: who suffers from a release, and when."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import numpy as np

from serving.canary import INPUT
from serving.client import Client
from serving.errors import ServingError
from serving.fleet import Fleet


@dataclass(frozen=True)
class Answered:
    at: datetime
    version: int


@dataclass
class Traffic:
    """Requests about `rate` times a second, from when the block is entered until it is left."""

    fleet: Fleet
    model: str
    images: Sequence[bytes]
    rate: float = 40.0
    answers: list[Answered] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def sent(self) -> int:
        return len(self.answers) + len(self.failures)

    def versions(self) -> dict[int, int]:
        """How many answers came from each version."""
        return dict(sorted(Counter(answer.version for answer in self.answers).items()))

    def last_from(self, version: int) -> datetime | None:
        return max((answer.at for answer in self.answers if answer.version == version), default=None)

    def _run(self) -> None:
        with Client(self.fleet) as client:
            while not self._stop.is_set():
                image = np.empty(1, dtype=object)
                image[0] = self.images[self.sent % len(self.images)]
                try:
                    answer = client.predict(self.model, {INPUT: image})
                except ServingError as error:
                    self.failures.append(str(error))
                else:
                    self.answers.append(Answered(datetime.now(UTC), answer.version))
                time.sleep(1 / self.rate)
