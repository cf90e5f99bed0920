"""The learning rate as a function of the step. It has no state: a resumed training needs none."""

import math
from typing import Any

from pipeline.spec import LearningRateSchedule


def rate(schedule: LearningRateSchedule, start: float, *, epochs: int, steps: int) -> Any:
    """The learning rate of one phase, for a Keras optimiser: a number, or a Keras schedule.

    Args:
        schedule: how it changes.
        start: the highest rate.
        epochs: of the phase.
        steps: in each epoch.
    """
    import keras

    schedules = keras.optimizers.schedules
    warmup = math.ceil(schedule.warmup * epochs * steps)
    if schedule.kind == "cosine":
        return schedules.CosineDecay(
            0.0 if warmup else start,
            max(epochs * steps - warmup, 1),
            warmup_target=start if warmup else None,
            warmup_steps=warmup,
        )
    if schedule.kind == "exponential":
        inner: Any = schedules.ExponentialDecay(start, steps, schedule.factor, staircase=True)
    elif schedule.kind == "steps":
        # The first step of the next epoch has the next rate; Keras compares with <=.
        boundaries = [epoch * steps - 1 for epoch in schedule.at]
        values = [start * schedule.factor**power for power in range(len(boundaries) + 1)]
        inner = schedules.PiecewiseConstantDecay(boundaries, values)
    else:
        inner = None
    if not warmup:
        return start if inner is None else inner
    return _with_warmup(inner, start, warmup)


def _with_warmup(inner: Any, start: float, warmup: int) -> Any:
    """A schedule that first grows linearly from zero to `start`; then `inner`, or `start` where that is None."""
    import keras

    class Warmup(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]  # Keras is untyped for us
        def __call__(self, step: Any) -> Any:
            step = keras.ops.cast(step, "float32")
            after = start if inner is None else inner(step)
            return keras.ops.where(step < warmup, start * step / warmup, after)

        def get_config(self) -> dict[str, Any]:
            return {"start": start, "warmup": warmup}

    return Warmup()
