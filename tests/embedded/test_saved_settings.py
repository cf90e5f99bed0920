"""The settings that `make up` saves for later commands."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from embedded import saved_settings
from embedded.environment import stack_environment
from embedded.errors import StackError
from embedded.settings import PROJECT, StackSettings, load_settings
from pipeline import layout, stack_file
from pipeline.settings import load_settings as load_pipeline_settings
from tests.embedded.conftest import Start

IDLE = "print('ready', flush=True); import time; time.sleep(60)"


@pytest.fixture
def pets(settings: StackSettings, monkeypatch: pytest.MonkeyPatch) -> StackSettings:
    """A stack of the model pets with its own ports, saved; the environment has only its folder."""
    for name in ("ROOT", "MODELS", "REPLICAS", "MLFLOW_URL"):
        monkeypatch.delenv(f"UNDERSTUDY_{name}", raising=False)
    monkeypatch.setenv("UNDERSTUDY_VAR", str(settings.var))
    ports = {"airflow_port": 18080, "mlflow_port": 15000, "serving_ports": (18500,)}
    made = settings.model_copy(update={"model": "pets", "models": settings.var / "my models", **ports})
    assert [] == saved_settings.save(made)
    return made


def test_a_command_without_variables_uses_the_saved_settings(pets: StackSettings) -> None:
    assert pets == load_settings()


def test_a_variable_overrides_a_saved_setting(pets: StackSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_MODEL", "digits")
    monkeypatch.setenv("UNDERSTUDY_SERVING_PORTS", "18501,18502")

    found = load_settings()

    assert ("digits", (18501, 18502)) == (found.model, found.serving_ports)
    assert (pets.airflow_port, pets.models) == (found.airflow_port, found.models)


def test_a_change_is_reported_once_and_saved(pets: StackSettings) -> None:
    changed = pets.model_copy(update={"model": "digits", "serving_ports": (1, 2)})

    assert [
        "model digits instead of pets, which this stack served until now",
        "ports of the replicas 1,2 instead of 18500, which this stack had until now",
    ] == saved_settings.save(changed)
    assert [] == saved_settings.save(changed)
    assert changed == load_settings()


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", "\0", '{"airflow_port": 99999}', '{"serving_ports": "x"}', '{"model": "../x"}']
)
def test_a_damaged_file_is_reported_and_defaults_are_used(
    pets: StackSettings, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = pets.var / stack_file.NAME
    path.write_text(content, encoding="utf-8")

    with caplog.at_level(logging.WARNING):
        found = load_settings()

    assert StackSettings(var=pets.var) == found
    (message,) = (record.getMessage() for record in caplog.records)
    assert f"{path} cannot be used: " in message
    assert "`make up`" in message


def test_a_damaged_file_is_kept_when_it_is_written_again(pets: StackSettings) -> None:
    path = pets.var / stack_file.NAME
    path.write_text('{"model": "pe', encoding="utf-8")

    assert [] == saved_settings.save(pets)

    assert pets == load_settings()
    assert '{"model": "pe' == path.with_suffix(".json.damaged").read_text(encoding="utf-8")


def test_a_file_that_cannot_be_written_is_reported(settings: StackSettings) -> None:
    (settings.var / "stack.json.new").mkdir()

    (line,) = saved_settings.save(settings)

    assert "could not be saved" in line


def test_unknown_settings_of_another_version_are_ignored(pets: StackSettings) -> None:
    path = pets.var / stack_file.NAME
    path.write_text(json.dumps({**saved_settings.file_content(pets), "later": 1}), encoding="utf-8")

    assert pets == load_settings()


def test_verbs_by_hand_find_the_stack(pets: StackSettings) -> None:
    found = load_pipeline_settings()

    assert (str(pets.bucket), "127.0.0.1:18500") == (found.root, found.replicas)
    assert (pets.mlflow_url, pets.models) == (found.mlflow_url, found.models)


def test_verbs_that_are_given_a_bucket_use_nothing_of_the_stack(
    pets: StackSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The replicas of this machine do not serve another bucket."""
    monkeypatch.setenv("UNDERSTUDY_ROOT", "gs://bucket/prefix")

    assert "127.0.0.1:8500,127.0.0.1:8510" == load_pipeline_settings().replicas


def test_verbs_of_the_other_roll_out_find_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VAR", "ROOT"):
        monkeypatch.delenv(f"UNDERSTUDY_{name}", raising=False)
    monkeypatch.setenv("UNDERSTUDY_ROLLOUT", "latest")

    assert str(PROJECT / "var" / "latest" / "bucket") == load_pipeline_settings().root


def test_verbs_without_a_roll_out_use_the_stack_that_was_started_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both listen on the same ports, and the other one's journal does not describe these replicas."""
    monkeypatch.setattr(stack_file, "PROJECT", tmp_path)
    for name in ("VAR", "ROOT", "ROLLOUT"):
        monkeypatch.delenv(f"UNDERSTUDY_{name}", raising=False)
    for order, rollout in enumerate(("latest", "pinned", "latest")):
        folder = stack_file.stack_folder(rollout)
        folder.mkdir(parents=True, exist_ok=True)
        stack_file.write(folder, {"rollout": rollout})
        os.utime(folder / stack_file.NAME, (order, order))
        found = load_pipeline_settings()

        assert (rollout, str(folder / "bucket")) == (found.rollout, found.root)


def test_the_roll_out_is_saved_with_the_folder(pets: StackSettings) -> None:
    latest = pets.model_copy(update={"rollout": "latest"})
    saved_settings.save(latest)

    assert latest == load_settings()
    assert "latest" == load_pipeline_settings().rollout


@pytest.mark.parametrize("module", ["pipeline", "embedded"])
def test_defaults_do_not_depend_on_the_working_directory(module: str, tmp_path: Path) -> None:
    code = f"from {module}.settings import load_settings; print(load_settings().model_dump_json())"
    plain = {name: value for name, value in os.environ.items() if not name.startswith("UNDERSTUDY_")}
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=folder,
            env={**plain, "PYTHONPATH": str(PROJECT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for folder in (PROJECT, PROJECT / "docs", tmp_path)
    }

    assert 1 == len(found)


def test_models_of_the_bucket_that_are_not_served_are_named_with_the_command(settings: StackSettings) -> None:
    for model in ("pets", settings.model):
        journal = settings.bucket / layout.journal(model)
        journal.mkdir(parents=True)
        (journal / "00000001.json").touch()
    (settings.bucket / layout.journal("empty")).mkdir()

    assert ["pets"] == saved_settings.other_models(settings)
    line = saved_settings.other_models_line(settings)
    assert line is not None
    assert f"UNDERSTUDY_MODEL=pets UNDERSTUDY_VAR='{settings.var}' make up" in line


def test_a_bucket_without_other_models_needs_no_line(settings: StackSettings) -> None:
    assert saved_settings.other_models_line(settings) is None


def test_a_stack_that_is_up_with_other_settings_is_refused_and_named(pets: StackSettings, start: Start) -> None:
    start_supervisor(start, pets)
    asked = pets.model_copy(update={"model": "digits", "mlflow_port": 5000})

    with pytest.raises(StackError, match="model pets, not digits; MLflow port 15000, not 5000") as refused:
        saved_settings.require_unchanged(asked)

    assert "UNDERSTUDY_MODEL=digits UNDERSTUDY_MLFLOW_PORT=5000" in str(refused.value)


def test_a_running_stack_is_compared_by_its_environment_and_not_by_its_file(pets: StackSettings, start: Start) -> None:
    start_supervisor(start, pets)
    (pets.var / stack_file.NAME).unlink()

    saved_settings.require_unchanged(pets)


def start_supervisor(start: Start, settings: StackSettings) -> None:
    """A process with the arguments and the variables of a supervisor of this stack."""
    start(IDLE, settings.var, ("embedded", "supervise"), **stack_environment(settings))
