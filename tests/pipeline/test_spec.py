"""Model files and overrides: what is wrong is named with its value and the way out."""

import json
import re
from pathlib import Path

import pytest

from pipeline.errors import BadInputError
from pipeline.model_files import load_spec, model_files
from pipeline.spec import ModelSpec, Overrides, parse, with_overrides

MODELS = Path(__file__).parents[2] / "models"


def test_every_model_file_of_the_project_loads() -> None:
    assert ["digits"] == [load_spec(path).name for path in model_files(MODELS)]


def test_a_missing_file_names_those_there_are() -> None:
    with pytest.raises(BadInputError, match="Models in that folder: digits"):
        load_spec(MODELS / "cats.yaml")


def test_a_wrong_field_is_named_with_its_value(tmp_path: Path) -> None:
    path = tmp_path / "digits.yaml"
    path.write_text((MODELS / "digits.yaml").read_text().replace("epochs: 12", "epochs: 0\n  momentum: 1"))

    with pytest.raises(BadInputError, match=r"training\.epochs: .*greater than or equal to 1 \(got 0\)") as caught:
        load_spec(path)
    assert "digits.yaml: line 15: training.epochs: " in str(caught.value)
    assert "line 16: training.momentum: " in str(caught.value)


@pytest.mark.parametrize(
    ("told", "before", "after"),
    [
        ("line 16: training.batch_size: Input should be a valid integer", "batch_size: 32", "batch_size: many"),
        ("line 14: training.epochs: Field required", "  epochs: 12\n", ""),
        ("line 18: training.network.filters.1: Input should be greater", "[16, 32]", "[16, 0]"),
        ("line 5: schedule: give a cron expression in UTC", '"0 3 * * 1"', "every day"),
        ("line 5: schedule: give a cron expression in UTC", '"0 3 * * 1"', '"0 25 * * 1"'),
        ("line 5: schedule: give a cron expression in UTC", '"0 3 * * 1"', '"0 0 3 * * 1"'),
        ("line 5: schedule: this moment never comes", '"0 3 * * 1"', '"0 0 30 2 *"'),
    ],
)
def test_a_wrong_field_is_named_with_its_line(tmp_path: Path, told: str, before: str, after: str) -> None:
    path = tmp_path / "digits.yaml"
    text = (MODELS / "digits.yaml").read_text()
    assert before in text
    path.write_text(text.replace(before, after))

    with pytest.raises(BadInputError, match=f"{re.escape(str(path))}: {re.escape(told)}"):
        load_spec(path)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"name: [", b"", b"- a list", b"just text", b"name: 2026-02-30"])
def test_what_is_no_model_file_is_said_in_a_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "digits.yaml"
    path.write_bytes(content)

    with pytest.raises(BadInputError, match=re.escape(str(path))):
        load_spec(path)


@pytest.mark.parametrize("schedule", ["@daily", "*/5 * * * *", "0 3 * * MON", None])
def test_what_airflow_takes_for_a_schedule_is_one(tmp_path: Path, schedule: str | None) -> None:
    path = tmp_path / "digits.yaml"
    path.write_text((MODELS / "digits.yaml").read_text().replace('"0 3 * * 1"', json.dumps(schedule)))

    assert schedule == load_spec(path).schedule


def test_a_record_of_a_schedule_that_is_refused_now_can_still_be_read() -> None:
    content = load_spec(MODELS / "digits.yaml").model_dump() | {"schedule": "0 0 3 * * 1"}

    assert "0 0 3 * * 1" == parse(ModelSpec, content, source="test").schedule


def test_a_file_must_be_named_like_its_model(tmp_path: Path) -> None:
    path = tmp_path / "cats.yaml"
    path.write_text((MODELS / "digits.yaml").read_text())

    with pytest.raises(BadInputError, match=r"name the file digits\.yaml"):
        load_spec(path)


@pytest.mark.parametrize("name", ["../x", "Digits", "a-b", "", "9a", "x" * 41])
def test_a_name_that_cannot_be_a_folder_and_a_dag_is_refused(name: str) -> None:
    content = load_spec(MODELS / "digits.yaml").model_dump() | {"name": name}

    with pytest.raises(BadInputError, match="name"):
        parse(ModelSpec, content, source="test")


def test_overrides_change_training_and_nothing_else() -> None:
    spec = load_spec(MODELS / "digits.yaml")
    changed = with_overrides(spec, Overrides(epochs=3, seed=7, learning_rate=0.01))

    assert changed.training
    assert spec.training
    assert (3, 7, 0.01) == (changed.training.epochs, changed.training.seed, changed.training.learning_rate)
    assert spec.gate == changed.gate
    assert spec.training.network == changed.training.network


def test_an_override_out_of_range_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"learning_rate: .*got 7\.0"):
        with_overrides(load_spec(MODELS / "digits.yaml"), Overrides(learning_rate=7.0))


def test_accepted_labels_need_a_note() -> None:
    with pytest.raises(BadInputError, match=r"accept_labels .* needs a note that says why"):
        parse(Overrides, {"accept_labels": ["owl"], "note": "  "}, source="the form")


def test_accepted_labels_are_names_as_they_are_without_empty_lines() -> None:
    names = ["Pepper, bell", "", "dog & cat", " x", "", "dog & cat"]
    form = parse(Overrides, {"accept_labels": names, "note": "asked for"}, source="the form")

    assert ("Pepper, bell", "dog & cat", " x") == form.accept_labels
    assert () == parse(Overrides, {"accept_labels": [""]}, source="the form").accept_labels


def test_force_needs_a_note() -> None:
    with pytest.raises(BadInputError, match="needs a note that says why"):
        parse(Overrides, {"force": True, "note": "  "}, source="the form")
