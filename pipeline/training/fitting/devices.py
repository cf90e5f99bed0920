"""Where a network is trained: on the CPU, on a GPU, or on all GPUs of this machine."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

log = logging.getLogger(__name__)

# NVIDIA's Volta and later compute in 16 bits with tensor cores: https://www.tensorflow.org/guide/mixed_precision.
_TENSOR_CORES = (7, 0)
_THEN = "; then "


@dataclass(frozen=True)
class Devices:
    """What a training runs on.

    Attributes:
        strategy: a `tf.distribute.Strategy` that copies the network to each GPU; None with fewer than two.
        policy: Keras' dtype policy.
        facts: `device`, `precision` and `repeatable`, for people.
    """

    strategy: Any
    policy: str
    facts: dict[str, str]

    def scope(self) -> Any:
        """A context manager in which networks and optimisers are made."""
        return nullcontext() if self.strategy is None else self.strategy.scope()


def find_devices(
    mixed_precision: Literal["auto", "never", "always"], *, policy: str = "", replicas: Sequence[str] = ()
) -> Devices:
    """All GPUs that TensorFlow sees.

    Args:
        mixed_precision: see `pipeline.spec.Training`.
        policy: of the training that is resumed, which counts instead: the optimiser of another one has other variables.
        replicas: names of devices to copy the network to, instead of the GPUs.
    """
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    fast = bool(details) and all(each.get("compute_capability", (0, 0)) >= _TENSOR_CORES for each in details)
    mixed = mixed_precision == "always" or (mixed_precision == "auto" and fast)
    several = list(replicas) or ([f"GPU:{number}" for number in range(len(gpus))] if len(gpus) > 1 else [])
    strategy = tf.distribute.MirroredStrategy(several) if several else None
    names = ", ".join(sorted({each.get("device_name", "unknown") for each in details}))
    device = f"{len(gpus)} GPU ({names})" if gpus else f"CPU, {len(os.sched_getaffinity(0))} cores"
    facts = {
        "device": f"{len(several)} copies on {device}" if several else device,
        "precision": policy or ("mixed_float16" if mixed else "float32"),
        "repeatable": _repeatable(on_gpu=bool(gpus), copies=len(several)),
    }
    log.info("training on %s, %s", facts["device"], facts["precision"])
    return Devices(strategy, facts["precision"], facts)


def _repeatable(*, on_gpu: bool, copies: int) -> str:
    if on_gpu:
        return "no: sums on GPUs have no fixed order"
    return (
        "no: sums over several devices have no fixed order"
        if copies
        else "yes, on a CPU of this kind with as many cores"
    )


def facts_after_resume(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """The facts of a training that was resumed, perhaps on another machine: it has run on both.

    Args:
        before: all facts of the checkpoint.
        now: of `find_devices`.
    """
    listed = {name: _listed(before.get(name, ""), now[name]) for name in ("device", "precision")}
    repeatable = next((each for each in (before.get("repeatable", ""), now["repeatable"]) if each.startswith("no")), "")
    if not repeatable and any(before.get(name) != now[name] for name in listed):
        first, then = (f"{facts.get('device', 'unknown')} in {facts.get('precision')}" for facts in (before, now))
        repeatable = f"no: trained on {first}, then on {then}"
    return {**before, **listed, "repeatable": repeatable or now["repeatable"]}


def _listed(before: str, now: str) -> str:
    """In the order of their use, each once."""
    return _THEN.join(dict.fromkeys(each for each in (*before.split(_THEN), now) if each))


@contextmanager
def precision(policy: str) -> Iterator[None]:
    """Inside the block, new Keras layers compute in this precision."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
