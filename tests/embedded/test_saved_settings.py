"""The settings that `make up` saves for later commands."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from embedded import saved_settings
from embedded.environment import supervisor_environment
from embedded.errors import StackError
from embedded.settings import PROJECT, StackSettings, load_settings
from pipeline import stack_file
from pipeline.fleets.known_fleet import names_replicas
from pipeline.settings import load_settings as load_pipeline_settings
from tests.embedded.conftest import Start

IDLE = "print('ready', flush=True); import time; time.sleep(60)"


@pytest.fixture
def pets(settings: StackSettings, monkeypatch: pytest.MonkeyPatch) -> StackSettings:
    """A stack of the models pets and owls with its own ports, saved; the environment has only its folder."""
    for name in ("ROOT", "MODELS", "REPLICAS", "MLFLOW_URL"):
        monkeypatch.delenv(f"UNDERSTUDY_{name}", raising=False)
    monkeypatch.setenv("UNDERSTUDY_VAR", str(settings.var))
    ports = {"airflow_port": 18080, "mlflow_port": 15000, "serving_ports": (18500,)}
    plain = settings.model_copy(update={"models": settings.var / "my models", "replica_ports": {}, **ports})
    made = plain.with_models(["pets", "owls"])
    add_files(made, "pets", "owls")
    assert [] == saved_settings.save(made)
    return made


def add_files(settings: StackSettings, *models: str) -> None:
    settings.models.mkdir(exist_ok=True)
    for model in models:
        (settings.models / f"{model}.yaml").touch()


def ports_of(settings: StackSettings) -> dict[str, tuple[int, ...]]:
    return {fleet.model: fleet.ports for fleet in settings.fleets}


def test_a_command_without_variables_uses_the_saved_settings(pets: StackSettings) -> None:
    assert pets == load_settings()


def test_a_variable_overrides_a_saved_setting(pets: StackSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_MLFLOW_PORT", "15001")

    found = load_settings()

    assert pets.model_copy(update={"mlflow_port": 15001}) == found


def test_other_serving_ports_move_the_replicas_of_all_models(
    pets: StackSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """...and the first model stays the first, whatever its name."""
    assert {"pets": (18500,), "owls": (18520,)} == ports_of(pets)
    monkeypatch.setenv("UNDERSTUDY_SERVING_PORTS", "18600,18610")

    assert {"pets": (18600, 18610), "owls": (18620, 18630)} == ports_of(load_settings())


def test_a_model_keeps_its_ports_when_others_are_added_and_removed(pets: StackSettings) -> None:
    """...also if their names come before it in the alphabet, and while it has no file itself."""
    add_files(pets, "cats")
    (pets.models / "pets.yaml").unlink()

    without = saved_settings.as_it_runs(load_settings())
    saved_settings.save(without)
    add_files(pets, "pets", "bats")

    assert {"cats": (18540,), "owls": (18520,)} == ports_of(without)
    again = saved_settings.as_it_runs(load_settings())
    assert {"bats": (18560,), "cats": (18540,), "owls": (18520,), "pets": (18500,)} == ports_of(again)


def test_a_stack_that_is_up_has_the_models_it_was_started_with(pets: StackSettings, start: Start) -> None:
    """...whatever files and `stack.json` say now."""
    start_supervisor(start, pets)
    add_files(pets, "cats")
    (pets.models / "pets.yaml").unlink()
    (pets.var / stack_file.NAME).unlink()

    assert ports_of(pets) == ports_of(saved_settings.as_it_runs(load_settings()))


def test_the_model_of_a_file_of_an_earlier_version_keeps_its_ports(pets: StackSettings) -> None:
    add_files(pets, "cats")
    earlier = {
        "rollout": "pinned",
        "model": "pets",
        "models": str(pets.models),
        "airflow_port": 18080,
        "mlflow_port": 15000,
        "serving_ports": [18500, 18510],
        "replicas": "127.0.0.1:18500,127.0.0.1:18510",
        "mlflow_url": "http://127.0.0.1:15000",
    }
    (pets.var / stack_file.NAME).write_text(json.dumps(earlier), encoding="utf-8")

    found = ports_of(load_settings())

    assert {"pets": (18500, 18510), "cats": (18520, 18530), "owls": (18540, 18550)} == found


def test_a_change_is_reported_once_and_saved(pets: StackSettings) -> None:
    changed = pets.model_copy(update={"serving_ports": (1, 2)}).with_models(pets.models_served or ())

    assert [
        "ports of the replicas 1,2 instead of 18500, which this stack had until now",
    ] == saved_settings.save(changed)
    assert [] == saved_settings.save(changed)
    assert changed == load_settings()


@pytest.mark.parametrize(
    "content",
    ["", "{", "[1]", "\0", '{"airflow_port": 99999}', '{"serving_ports": "x"}', '{"replica_ports": {"../x": [1]}}'],
)
def test_a_damaged_file_is_reported_and_defaults_are_used(
    pets: StackSettings, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = pets.var / stack_file.NAME
    path.write_text(content, encoding="utf-8")
    defaults = StackSettings(var=pets.var)

    with caplog.at_level(logging.WARNING):
        found = load_settings()

    assert defaults.with_models(["digits"]) == found
    (message,) = (record.getMessage() for record in caplog.records)
    assert f"{path} cannot be used: " in message
    assert "`make up`" in message


def test_a_damaged_file_is_kept_when_it_is_written_again(pets: StackSettings) -> None:
    path = pets.var / stack_file.NAME
    path.write_text('{"models": "pe', encoding="utf-8")

    assert [] == saved_settings.save(pets)

    assert pets == load_settings()
    assert '{"models": "pe' == path.with_suffix(".json.damaged").read_text(encoding="utf-8")


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

    assert (str(pets.bucket), pets.models) == (found.root, found.models)


def test_verbs_by_hand_use_the_cache_of_the_stack(pets: StackSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """...unless the environment names another one, or another bucket."""
    assert pets.var / "cache" == load_pipeline_settings().cache
    monkeypatch.setenv("UNDERSTUDY_CACHE", "/fast disk")
    assert Path("/fast disk") == load_pipeline_settings().cache

    monkeypatch.delenv("UNDERSTUDY_CACHE")
    monkeypatch.setenv("UNDERSTUDY_ROOT", "gs://bucket/prefix")
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/ann/.cache")

    assert Path("/home/ann/.cache/understudy") == load_pipeline_settings().cache


def test_verbs_take_the_replicas_from_the_fleet_record_and_not_from_the_file(pets: StackSettings) -> None:
    """A list in the file would be that of one model."""
    path = pets.var / stack_file.NAME

    assert {"replicas", "mlflow_url"}.isdisjoint(json.loads(path.read_text(encoding="utf-8")))
    assert not names_replicas(load_pipeline_settings())


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


def test_a_stack_that_is_up_with_other_settings_is_refused_and_named(pets: StackSettings, start: Start) -> None:
    start_supervisor(start, pets)
    asked = pets.model_copy(update={"airflow_port": 8080, "mlflow_port": 5000})

    with pytest.raises(StackError, match="Airflow port 18080, not 8080; MLflow port 15000, not 5000") as refused:
        saved_settings.require_unchanged(asked)

    assert "UNDERSTUDY_AIRFLOW_PORT=8080 UNDERSTUDY_MLFLOW_PORT=5000" in str(refused.value)


def test_a_running_stack_is_compared_by_its_environment_and_not_by_its_file(pets: StackSettings, start: Start) -> None:
    start_supervisor(start, pets)
    (pets.var / stack_file.NAME).unlink()

    saved_settings.require_unchanged(pets)


def start_supervisor(start: Start, settings: StackSettings) -> None:
    """A process with the arguments and the variables of a supervisor of this stack."""
    start(IDLE, settings.var, ("embedded", "supervise"), **supervisor_environment(settings))
