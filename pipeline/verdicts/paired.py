"""Whether the candidate is not worse than the serving model, judged on the same examples.

The score interval for a difference of paired proportions of T. Tango, "Equivalence test and confidence interval for the
difference in proportions for the paired-sample design", Statistics in Medicine 17 (1998), 891-908. The textbook (Wald)
interval has width 0 if the models never disagree, however few examples there are; this one does not.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True)
class Pairs:
    """How often two models differ over the `total` examples that both have answered. `total` is at least 1."""

    total: int
    only_candidate_right: int
    only_serving_right: int

    @property
    def difference(self) -> float:
        """The accuracy of the candidate minus that of the serving model, -1 to 1."""
        return (self.only_candidate_right - self.only_serving_right) / self.total


def lower_bound(pairs: Pairs, *, confidence: float) -> float:
    """The one-sided lower confidence bound of `pairs.difference`. `confidence` is below 1, for example 0.95."""
    z = NormalDist().inv_cdf(confidence)
    low, high = -1.0, pairs.difference
    for _ in range(60):  # bisection: the score falls as the supposed difference grows
        middle = (low + high) / 2
        if _score(pairs, middle) > z:
            low = middle
        else:
            high = middle
    return low


def examples_needed(pairs: Pairs, *, margin: float, confidence: float) -> int | None:
    """About how many examples would show that the candidate is not worse, if the models kept differing at this rate.

    Returns:
        None if no number would: the observed difference is at or below `-margin`.
    """
    if pairs.difference <= -margin:
        return None
    z = NormalDist().inv_cdf(confidence)
    # The score grows with the square root of the sample at fixed rates.
    return math.ceil(pairs.total * (z / _score(pairs, -margin)) ** 2)


def _score(pairs: Pairs, delta: float) -> float:
    """Tango's statistic for the hypothesis that the true difference is `delta`."""
    n, b, c = pairs.total, pairs.only_candidate_right, pairs.only_serving_right
    # The restricted maximum-likelihood estimate of the rate "only the serving model is right".
    a2 = 2 * n
    a1 = -b - c + (2 * n - b + c) * delta
    a0 = -c * delta * (1 - delta)
    rate = (math.sqrt(max(a1 * a1 - 4 * a2 * a0, 0.0)) - a1) / (2 * a2)
    variance = n * (2 * rate + delta * (1 - delta))
    distance = b - c - n * delta
    if variance <= 0:
        return math.copysign(math.inf, distance) if distance else 0.0
    return distance / math.sqrt(variance)
