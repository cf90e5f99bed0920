"""A server reads what its own version of TensorFlow or an older one wrote."""

import re
from typing import Any

from pipeline.errors import BadInputError
from pipeline.safety.quoting import quoted


def problems(meta_graph: Any, *, server_tensorflow: str) -> list[str]:
    """Compares major and minor; raises BadInputError where the server's version is none."""
    server = _release(server_tensorflow)
    if server is None:
        raise BadInputError(f"the servers' TensorFlow is given as {server_tensorflow!r}; write it like 2.21")
    producer = meta_graph.meta_info_def.tensorflow_version
    written = _release(producer)
    if written is None:
        return [f"the model does not say which TensorFlow wrote it, only {quoted(producer)}"]
    if written > server:
        return [f"TensorFlow {producer} wrote the model, and the servers run {server_tensorflow}, which is older"]
    return []


def _release(version: str) -> tuple[int, int] | None:
    found = re.match(r"(\d{1,6})\.(\d{1,6})", version, re.ASCII)
    return (int(found[1]), int(found[2])) if found else None
