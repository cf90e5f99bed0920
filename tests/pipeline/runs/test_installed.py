"""The digest of what is installed changes with each package, each version and Python, and with nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.runs.installed import digest_of, installed


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose packages are installed as well."""
    monkeypatch.syspath_prepend(tmp_path)
    installed.cache_clear()
    yield tmp_path
    installed.cache_clear()


def add(packages: Path, folder: str, metadata: str) -> str:
    """The digest after one more package was installed."""
    (packages / folder).mkdir()
    (packages / folder / "METADATA").write_text(metadata)
    installed.cache_clear()
    return installed()


def test_a_package_more_is_another_digest(packages: Path) -> None:
    before = installed()

    assert 64 == len(before)
    assert before != add(packages, "mine-1.0.dist-info", "Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")


def test_a_folder_that_an_interrupted_installation_has_left_does_not_count(packages: Path) -> None:
    before = installed()

    assert before == add(packages, "half-1.0.dist-info", "")


def test_neither_the_order_nor_a_copy_counts_but_a_version_and_python_do() -> None:
    both = {("keras", "3.1"), ("numpy", "2.0")}

    assert digest_of(both, python="3.12.1") == digest_of({("numpy", "2.0"), ("keras", "3.1")}, python="3.12.1")
    assert digest_of(both, python="3.12.1") != digest_of({("keras", "3.2"), ("numpy", "2.0")}, python="3.12.1")
    assert digest_of(both, python="3.12.1") != digest_of(both, python="3.12.2")
