"""A client that sends requests at a constant rate, in a thread, and records every answer and failure.

Two of them run during the demo: one asks the replicas directly, the other through the gateway, as people do.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import httpx

from serving.client import Client
from serving.errors import DiscoveryError, ServingError
from serving.fleet.fleet import Fleet


@dataclass(frozen=True)
class RecordedAnswer:
    """When an answer came, from which version and replica, for which image (its index), and which label it gave."""

    at: datetime
    version: int
    image: int = 0
    label: str = ""
    address: str = ""


class FailedError(Exception):
    """A request got no answer; the text says why."""


# Sends one image. Raises FailedError.
Ask = Callable[[bytes], RecordedAnswer]


@contextmanager
def directly(fleet: Fleet, model: str, *, label: str | None) -> Iterator[Ask]:
    """Ask the replicas by gRPC, in turn; `label` is that of the serving version, None where servers have no labels."""
    with Client(fleet, label=label) as client:

        def ask(image: bytes) -> RecordedAnswer:
            try:
                found = client.classify(model, image)
            except (ServingError, DiscoveryError) as error:
                raise FailedError(str(error)) from error
            return RecordedAnswer(datetime.now(UTC), found.version, label=found.labels[0], address=found.address)

        yield ask


@contextmanager
def by_gateway(url: str, model: str) -> Iterator[Ask]:
    """Ask the gateway at this address by HTTP."""
    with httpx.Client(base_url=url, timeout=10, trust_env=False) as client:

        def ask(image: bytes) -> RecordedAnswer:
            try:
                answer = client.post(f"/v1/classify/{model}", content=image, headers={"Content-Type": "image/*"})
            except httpx.HTTPError as error:
                raise FailedError(f"{url}: {error!r}") from error
            if not answer.is_success:
                raise FailedError(f"{url}: {answer.status_code} {answer.text}")
            found = answer.json()
            label = found["predictions"][0]["labels"][0]["label"]
            return RecordedAnswer(datetime.now(UTC), found["version"], label=label, address=found["replica"])

        yield ask


@dataclass
class Traffic:
    """Send about `rate` requests a second while the `with` block runs; a failed request is recorded, not raised."""

    way: AbstractContextManager[Ask]
    images: Sequence[bytes]
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
        with self.way as ask:
            while not self._stop.is_set():
                number = self.sent % len(self.images)
                try:
                    self.answers.append(replace(ask(self.images[number]), image=number))
                except FailedError as error:
                    self.failures.append(str(error))
                time.sleep(1 / self.rate)
