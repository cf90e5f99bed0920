import pytest

from tests.processes.starts import Buckets


@pytest.fixture(scope="session")
def buckets(tmp_path_factory: pytest.TempPathFactory) -> Buckets:
    return Buckets(tmp_path_factory.mktemp("starts"))
