"""Results that take long to make: one process of a test run makes them, and all others wait for it."""

import fcntl
import json
import os
from collections.abc import Callable
from typing import Any

import pytest


def once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[], Any]) -> Any:
    """What `make` returns, as JSON keeps it; it is called once in a test run, however many processes that has.

    Args:
        tmp_path_factory: pytest's.
        name: of the result, and of no other.
        make: makes it. If it raises, the next process tries again.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    result = folder / f"once-{name}.json"
    with (folder / f"once-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not result.exists():
            result.write_text(json.dumps(make()), encoding="utf-8")
    return json.loads(result.read_text(encoding="utf-8"))
