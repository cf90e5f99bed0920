import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from embedded import prepare
from embedded.settings import StackSettings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StackSettings:
    """A stack of its own, whatever this machine's environment says; its folders exist."""
    for name in ("VAR", "MODEL", "AIRFLOW_PORT", "MLFLOW_PORT", "SERVING_PORTS", "BOOT_SECONDS"):
        monkeypatch.delenv(f"UNDERSTUDY_{name}", raising=False)
    made = StackSettings(var=tmp_path / "a var")
    prepare.folders(made)
    return made


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture
def free_port() -> Callable[[], int]:
    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port

    return find
