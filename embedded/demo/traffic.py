"""A client that sends requests to the fleet at a constant rate, in a thread, and records every answer and failure."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from serving.client import Client
from serving.errors import DiscoveryError, ServingError
from serving.fleet.fleet import Fleet
from serving.signature import inputs_of, labels_of


@dataclass(frozen=True)
class RecordedAnswer:
    """When an answer came, from which version and replica, for which image (its index), and which label it gave."""

    at: datetime
    version: int
    image: int = 0
    label: str = ""
    address: str = ""


@dataclass
class Traffic:
    """Send about `rate` requests a second while the `with` block runs; a failed request is recorded, not raised."""

    fleet: Fleet
    model: str
    images: Sequence[bytes]
    # The version label of the requests; None where the servers have no labels.
    label: str | None
    rate: float = 40.0
    answers: list[RecordedAnswer] = field(default_factory=list)
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
        """How many requests have ended so far, with an answer or a failure."""
        return len(self.answers) + len(self.failures)

    def answers_by_version(self) -> dict[int, int]:
        """How many answers came from each version."""
        return dict(sorted(Counter(answer.version for answer in self.answers).items()))

    def answers_of(self, version: int) -> list[RecordedAnswer]:
        """The answers of one version, oldest first."""
        return [answer for answer in self.answers if answer.version == version]

    def differing_answers(self, version: int, other: int) -> int:
        """How many answers of a version have another label than a second version gave for the same image."""
        labels = {answer.image: answer.label for answer in self.answers_of(other)}
        return sum(answer.label != labels.get(answer.image, answer.label) for answer in self.answers_of(version))

    def _run(self) -> None:
        with Client(self.fleet, label=self.label) as client:
            while not self._stop.is_set():
                number = self.sent % len(self.images)
                try:
                    answer = client.predict(self.model, inputs_of([self.images[number]]))
                except (ServingError, DiscoveryError) as error:
                    self.failures.append(str(error))
                else:
                    label = labels_of(answer.outputs)[0]
                    now = datetime.now(UTC)
                    self.answers.append(RecordedAnswer(now, answer.version, number, label, answer.address))
                time.sleep(1 / self.rate)
