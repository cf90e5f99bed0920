import pytest

from tests.processes.acting import fork_server
from tests.processes.starts import Buckets


@pytest.fixture(scope="session", autouse=True)
def started_fork_server() -> None:
    """Before any test does so from a thread of its own."""
    fork_server()


@pytest.fixture(scope="session")
def buckets(tmp_path_factory: pytest.TempPathFactory) -> Buckets:
    return Buckets(tmp_path_factory.mktemp("starts"))
