"""What both clients are made of: their requests, and what they know of the fleet. No input or output."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from serving import signature as signatures
from serving.client.attempts import Attempts
from serving.client.breaker import CircuitBreaker
from serving.client.budget import RetryBudget
from serving.client.calls import Call, Default
from serving.client.class_names import ClassNames
from serving.client.deadline import Deadline
from serving.client.picker import Picker
from serving.messages import Metadata, answer, metadata, metadata_request, predict_request, status_request
from serving.replica import Answer
from serving.wire import Array

# Of the least time that a client gives an attempt by itself: a replica that does not answer in it, or in a second, is
# slow.
_FAIR = 0.9
_FAIR_SECONDS = 0.9


class Traffic:
    """The requests of a client and their outcomes. Safe to use from several threads.

    Args:
        label: the label of the serving version, or None.
        timeout: of a request for which no other is given, in seconds.
        now: a clock, in seconds.

    Raises:
        ValueError: the timeout is not above 0.
    """

    def __init__(self, *, label: str | None, timeout: float, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._label = label
        self._budget = RetryBudget(now=now)
        self._breaker = CircuitBreaker(now=now)
        self.timeout = timeout
        self.picker = Picker(first=random.randrange(1000), now=now)  # noqa: S311 - to spread clients
        self.names = ClassNames(now=now)
        self._fair_seconds = min(_FAIR * Deadline(timeout).part, _FAIR_SECONDS)

    def deadline(self, timeout: float | None) -> Deadline:
        """The end of a request with this timeout, or that of the client."""
        return Deadline(self.timeout if timeout is None else timeout, now=self._now)

    def attempts(self, timeout: float | None) -> Attempts:
        """The attempts of a request with this timeout, or that of the client.

        Raises:
            ValueError: the timeout is not above 0.
        """
        return Attempts(
            self.picker,
            timeout=self.timeout if timeout is None else timeout,
            now=self._now,
            budget=self._budget,
            breaker=self._breaker,
            fair_seconds=self._fair_seconds,
        )

    def prediction(
        self,
        model: str,
        inputs: Mapping[str, Array],
        *,
        version: int | None,
        label: str | Default | None,
        signature: str,
        outputs: Sequence[str],
    ) -> Call[Answer]:
        request = predict_request(
            model, inputs, version=version, label=self._label_of(label), signature=signature, outputs=outputs
        )
        return Call("Predict", request, _answer)

    def description(self, model: str, *, version: int | None, label: str | Default | None) -> Call[Metadata]:
        request = metadata_request(model, version=version, label=self._label_of(label))
        return Call("GetModelMetadata", request, lambda reply, address: metadata(reply, address=address))

    def status(self, model: str, *, version: int | None) -> Call[Any]:
        request = status_request(model, version=version)
        return Call("GetModelStatus", request, lambda reply, _: reply)

    def names_of(self, model: str, version: int) -> Call[tuple[str, ...]]:
        request = predict_request(model, signatures.one_row(), version=version, signature=signatures.LABELS_NAME)
        return Call("Predict", request, _names)

    def _label_of(self, label: str | Default | None) -> str | None:
        return self._label if isinstance(label, Default) else label


def _answer(reply: Any, address: str) -> Answer:
    return answer(reply, address=address)


def _names(reply: Any, address: str) -> tuple[str, ...]:
    return signatures.all_labels_of(_answer(reply, address).outputs)
