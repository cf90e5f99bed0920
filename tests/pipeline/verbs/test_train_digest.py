"""Which checkpoint a training resumes from: one of the same settings, data, seed and network function."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.runs.records import SnapshotRecord
from pipeline.spec import ModelSpec, OwnNetwork
from pipeline.verbs.train import _digest
from tests.releases import SPEC

DATA = SnapshotRecord(digest="d" * 64, labels=("cat", "dog"), manifest="some/manifest")


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    """Its network is made by a function of a file in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_network.py").write_text("def build(shape, classes): ...\n")
    assert SPEC.training
    training = SPEC.training.model_copy(update={"network": OwnNetwork(function="my_network:build")})
    return SPEC.model_copy(update={"training": training})


def test_an_edited_function_is_another_training(spec: ModelSpec, tmp_path: Path) -> None:
    before = _digest(spec, DATA, seed=1)
    again = _digest(spec, DATA, seed=1)
    (tmp_path / "my_network.py").write_text("def build(shape, classes): return 1\n")

    assert before == again
    assert before != _digest(spec, DATA, seed=1)


@pytest.mark.parametrize("change", [{"digest": "e" * 64}, {"labels": ("cat", "owl")}])
def test_other_data_are_another_training(spec: ModelSpec, change: dict[str, Any]) -> None:
    assert _digest(spec, DATA, seed=1) != _digest(spec, DATA.model_copy(update=change), seed=1)


def test_another_seed_is_another_training(spec: ModelSpec) -> None:
    assert _digest(spec, DATA, seed=1) != _digest(spec, DATA, seed=2)
