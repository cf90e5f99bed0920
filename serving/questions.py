"""The questions to a replica about one version, and its answers: shapes only, for the code that judges them."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Golden:
    """An encoded image, and the answer that was recorded when the model was evaluated."""

    image: bytes
    label: str
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Labelled:
    """An encoded image and its true label."""

    image: bytes
    label: str


@dataclass(frozen=True)
class Questions:
    """The questions to one replica.

    Attributes:
        model: the name of the model.
        version: the version in question.
        serving: the version to compare with; None for none.
        golden: images with recorded answers.
        fresh: images with true labels.
        labels: those that the version was approved with, in the order of their indices.
        tolerance: the largest difference of a probability that counts as the same answer.
        latency_rounds: how many single-image requests are measured per version.
        serving_labels: those that answers of `serving` must agree with.
        serving_knows_fresh: False if `serving` knows none of the labels of the fresh images; then it is not asked about
            them.
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
    """The answers of one replica.

    Attributes:
        address: `host:port`.
        version: the version in question.
        answered_by: the versions that the answers came from.
        label_problems: where answers disagree with the approved labels and their order.
        golden_asked: how many golden images were asked.
        golden_wrong: how many answers differed.
        golden_error: the largest difference of a probability; infinite if the shape differs.
        fresh_asked: how many labelled images were asked.
        fresh_right: how many were recognised.
        fresh_right_serving: how many the serving version recognised; None if it was not asked.
        latency_ms: the median of single-image requests, in milliseconds.
        latency_ms_serving: that of the serving version, asked alternately; None if it was not asked.
        problem: why the replica gave no answer; empty if it answered.
        unreachable: whether that was an `UnreachableError`.
        lost: whether that was a `ConnectionLostError`, so its process seems to have ended.
        not_served: whether that was a `NotServedError`. A server that has just started does not have the version yet.
        silent_seconds: how long the request took that had no answer.
        process: which server process was asked, see `serving.fleet.pod.PodReplica.process`; None if that is unknown.
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
    # Only if unreachable: whether the process seems to have ended.
    lost: bool = False
    not_served: bool = False
    silent_seconds: float = 0.0
    process: tuple[str, int] | None = None
