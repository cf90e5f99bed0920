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
        since: how many epochs of this phase came after the last one that was better.
    """

    metric: str
    number: int = 0
    value: float = math.nan
    since: int = 0

    def after(self, number: int, metrics: Mapping[str, float], *, stopping: EarlyStopping | None) -> "BestEpoch":
        """The best one after one epoch more.

        Without images for validation there are no metrics of it; then that of the training counts.
        """
        value = metrics.get(self.metric, metrics[f"train/{self.metric.partition('/')[2]}"])
        if self._is_better(value, by=0.0):
            enough = self._is_better(value, by=stopping.min_delta if stopping else 0.0)
            return replace(self, number=number, value=value, since=0 if enough else self.since + 1)
        return replace(self, since=self.since + 1)

    def has_waited(self, stopping: EarlyStopping | None) -> bool:
        """Whether the phase is over."""
        return stopping is not None and self.since >= stopping.patience

    def in_the_next_phase(self) -> "BestEpoch":
        return replace(self, since=0)

    def _is_better(self, value: float, *, by: float) -> bool:
        if not math.isfinite(value):
            return False
        if not self.number:
            return True
        return value > self.value + by if self.metric.endswith("accuracy") else value < self.value - by
