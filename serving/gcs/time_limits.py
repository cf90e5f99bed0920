"""How long a call of Google Cloud Storage may take."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class TimeLimits:
    """In seconds. One call lasts at most `retries + connect + answer`, but for content that is still flowing.

    TensorFlow's own file system tries 10 times, which is minutes: too long for a loop that has other models to look at,
    and for a person who waits for a roll-back.
    """

    connect: float = 5.0
    answer: float = 20.0
    # Transient failures are tried again for so long, after random pauses that double up to the longest, `pause`.
    retries: float = 30.0
    pause: float = 5.0


def call_options(limits: TimeLimits) -> dict[str, Any]:
    """The keyword arguments that bound a call of `google.cloud.storage`, such as `Blob.reload(**options)`."""
    from google.cloud.storage.retry import DEFAULT_RETRY

    retry = DEFAULT_RETRY.with_delay(initial=min(1.0, limits.pause), maximum=limits.pause, multiplier=2.0)
    return {"timeout": (limits.connect, limits.answer), "retry": retry.with_timeout(limits.retries)}
