"""What may name a model: it becomes a folder, a DAG id, a part of an address and the value of a metric's label."""

import re

MODEL_PATTERN = r"[a-z][a-z0-9_]{0,39}"
_MODEL = re.compile(MODEL_PATTERN)


def is_model(text: str) -> bool:
    """Whether `text` may name a model."""
    return _MODEL.fullmatch(text) is not None
