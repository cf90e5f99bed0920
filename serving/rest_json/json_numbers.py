"""Floating-point numbers as TensorFlow Serving writes them in JSON."""

import numpy as np

from serving.wire import Array

_NOT_FINITE = {"nan": "NaN", "-nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_ALL_DIGITS = {np.dtype(np.float32): "%.9g ", np.dtype(np.float64): "%.17g "}


def decimals(values: Array) -> list[str]:
    """Six digits where they say it all, otherwise as many as any value of the type may need: 0.2, 0.123456791, 3.0.

    Takes a flat float32 or float64 array. NaN, Infinity and -Infinity are written bare, which is not strict JSON.
    """
    texts = _formatted(values, "%g ")
    with np.errstate(over="ignore"):
        read_back = np.array(list(map(float, texts)), np.float64).astype(values.dtype)
    cut_short = np.flatnonzero((read_back != values) & np.isfinite(values))
    for position, text in zip(cut_short, _formatted(values[cut_short], _ALL_DIGITS[values.dtype]), strict=True):
        texts[position] = text
    return [text if "." in text or "e" in text else _NOT_FINITE.get(text) or f"{text}.0" for text in texts]


def _formatted(values: Array, form: str) -> list[str]:
    return (form * len(values) % tuple(values.tolist())).split()
