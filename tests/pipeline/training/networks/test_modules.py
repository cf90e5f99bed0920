"""The file with a user's function is noticed when it changes. Nothing is imported."""

import sys
from pathlib import Path

import pytest

from pipeline.spec import Training
from pipeline.training.networks.modules import source_digest


def digest(function: str) -> str:
    return source_digest(Training.model_validate({"epochs": 1, "network": {"function": function}}))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_nets").mkdir()
    (tmp_path / "my_nets" / "wide.py").write_text("raise SystemExit\n")
    return tmp_path


def test_an_edit_changes_the_digest_and_the_same_content_has_the_same(folder: Path) -> None:
    path = folder / "my_nets" / "wide.py"
    before = digest("my_nets.wide:build")
    path.write_text("raise SystemExit(1)\n")
    edited = digest("my_nets.wide:build")
    path.write_text("raise SystemExit\n")

    assert 64 == len(before)
    assert before != edited
    assert before == digest("my_nets.wide:build")
    assert "my_nets.wide" not in sys.modules


@pytest.mark.parametrize("function", ["my_nets.nowhere:build", "nowhere:build", "sys:exit", "my_nets:build"])
def test_where_there_is_no_file_there_is_no_digest(folder: Path, function: str) -> None:
    assert "" == digest(function)


def test_a_network_of_the_project_and_an_imported_model_have_none() -> None:
    assert "" == source_digest(Training(epochs=1))
    assert "" == source_digest(None)
