"""What a replica is asked about one version, and what it answered: shapes only, for whoever judges the answers."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Golden:
    """An encoded image and the answer that was recorded when the model was exported."""

    image: bytes
    label: str
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Labelled:
    """An encoded image and what it shows."""

    image: bytes
    label: str


@dataclass(frozen=True)
class Questions:
    """What one replica is asked. `serving` is the version to compare with, where one serves.

    `labels` are those that the version was approved with, in the order of their indices, and `serving_labels` those
    that answers of `serving` must agree with. Where `serving_knows_fresh` is false it cannot know what the fresh images
    show, and is not asked about them.
    """

    model: str
    version: int
    serving: int | None
    golden: Sequence[Golden]
    fresh: Sequence[Labelled]
    labels: Sequence[str]
    tolerance: float
    latency_rounds: int
    serving_labels: Sequence[str] = ()
    serving_knows_fresh: bool = True


@dataclass(frozen=True)
class ReplicaReport:
    """What one replica answered. Latencies are medians of single-image requests, interleaved, in milliseconds.

    `label_problems` says where an answer does not agree with the approved labels and their order.
    """

    address: str
    version: int
    answered_by: set[int] = field(default_factory=set)
    label_problems: tuple[str, ...] = ()
    golden_asked: int = 0
    golden_wrong: int = 0
    golden_error: float = 0.0
    fresh_asked: int = 0
    fresh_right: int = 0
    fresh_right_serving: int | None = None
    latency_ms: float = 0.0
    latency_ms_serving: float | None = None
    problem: str = ""
    unreachable: bool = False
    # Of those that are unreachable: whether the process seems to have ended.
    lost: bool = False
