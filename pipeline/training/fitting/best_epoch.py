"""Which epoch was the best one, and whether there were too many since. Pure: no Keras."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pipeline.spec import EarlyStopping


@dataclass(frozen=True)
class BestEpoch:
    """The best of the epochs so far.

    Attributes:
        metric: by which they are compared: the highest accuracy, or the lowest loss.
        number: of the best one, from 1; 0: none yet.
        value: its metric.
        reference: the metric that a later epoch must beat by `min_delta`, or the phase ends early. It changes only at
            such a gain, as in Keras' `EarlyStopping`: small gains add up.
        since: how many epochs of this phase came after the last such gain.
    """

    metric: str
    number: int = 0
    value: float = math.nan
    reference: float = math.nan
    since: int = 0

    def after(self, number: int, metrics: Mapping[str, float], *, stopping: EarlyStopping | None) -> "BestEpoch":
        """The best one after one epoch more."""
        value = self.value_of(metrics)
        best = self
        if self._is_better(value, than=self.value, by=0.0):
            best = replace(best, number=number, value=value)
        if self._is_better(value, than=self.reference, by=stopping.min_delta if stopping else 0.0):
            return replace(best, reference=value, since=0)
        return replace(best, since=self.since + 1)

    def value_of(self, metrics: Mapping[str, float]) -> float:
        """The metric of an epoch. Without images for validation there is none of it; then that of the training."""
        return metrics.get(self.metric, metrics[f"train/{self.metric.partition('/')[2]}"])

    def has_waited(self, stopping: EarlyStopping | None) -> bool:
        """Whether the phase is over."""
        return stopping is not None and self.since >= stopping.patience

    def in_the_next_phase(self) -> "BestEpoch":
        return replace(self, since=0)

    def _is_better(self, value: float, *, than: float, by: float) -> bool:
        """Any finite value is better than none, which is NaN."""
        if not math.isfinite(value):
            return False
        if math.isnan(than):
            return True
        return value > than + by if self.metric.endswith("accuracy") else value < than - by
