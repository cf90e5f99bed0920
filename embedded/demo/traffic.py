"""A client that asks the fleet all the time and remembers every answer: who suffers from a release, and when."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from serving.client import Client
from serving.errors import ServingError
from serving.fleet import Fleet
from serving.signature import inputs_of, labels_of


@dataclass(frozen=True)
class Answered:
    """One answer: when it came, from which version, and what that saw in the image of which number."""

    at: datetime
    version: int
    image: int = 0
    label: str = ""


@dataclass
class Traffic:
    """Requests about `rate` times a second, from when the block is entered until it is left."""

    fleet: Fleet
    model: str
    images: Sequence[bytes]
    # What to ask for; None where servers know no labels.
    label: str | None
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

    def of(self, version: int) -> list[Answered]:
        return [answer for answer in self.answers if answer.version == version]

    def differing(self, version: int, other: int) -> int:
        """How many answers of a version are others than another version gave for the same image."""
        usual = {answer.image: answer.label for answer in self.of(other)}
        return sum(answer.label != usual.get(answer.image, answer.label) for answer in self.of(version))

    def _run(self) -> None:
        with Client(self.fleet, label=self.label) as client:
            while not self._stop.is_set():
                number = self.sent % len(self.images)
                try:
                    answer = client.predict(self.model, inputs_of([self.images[number]]))
                except ServingError as error:
                    self.failures.append(str(error))
                else:
                    label = labels_of(answer.outputs)[0]
                    self.answers.append(Answered(datetime.now(UTC), answer.version, number, label))
                time.sleep(1 / self.rate)
