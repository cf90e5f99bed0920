"""A name that nobody has heard of is refused by every verb; a model without a release is another matter."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipeline.cli import app
from pipeline.errors import BadInputError
from tests.pipeline.journal.test_journal import Releases
from tests.pipeline.test_cli import pipeline
from tests.releases import NO_MLFLOW

REASON = ("--reason", "why")
# What a person gives to each verb; `rollback --without-bucket` asks no bucket, and so cannot know.
VERBS = [
    ("init",),
    ("status",),
    ("status", "--json"),
    ("history",),
    ("history", "--json"),
    ("reconcile",),
    ("retain",),
    ("rollback", "--to", "previous", *REASON),
    ("rollback", "--to", "2", "--plan"),
    ("pin", "--to", "2", *REASON),
    ("freeze", "--until", "3d", *REASON),
    ("unfreeze", *REASON),
    ("readmit", "--version", "2", *REASON),
    *(
        (verb, "--run", "retrain-1")
        for verb in ("snapshot", "train", "evaluate", "gate", "publish", "canary", "promote", "withdraw")
    ),
]
of_each_verb = pytest.mark.parametrize("words", VERBS, ids=" ".join)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bucket with the journal of `digits`, and a model file of `pets`."""
    Releases(tmp_path / "bucket").release("retrain-1")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "pets.yaml").touch()
    for name, value in {
        "ROOT": tmp_path / "bucket",
        "MODELS": tmp_path / "models",
        "REPLICAS": "127.0.0.1:9",
        "MLFLOW_URL": NO_MLFLOW,
        "ACTOR": "ann",
    }.items():
        monkeypatch.setenv(f"UNDERSTUDY_{name}", str(value))
    return tmp_path


def asked(*words: str, model: str) -> Result:
    return CliRunner().invoke(app, [*words, "--model", model])


def everything(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@of_each_verb
def test_a_name_that_is_known_nowhere_is_refused_with_the_known_ones(place: Path, words: tuple[str, ...]) -> None:
    before = everything(place)
    done = asked(*words, model="nosuch")

    assert isinstance(done.exception, BadInputError), done.output
    assert f"the model 'nosuch' does not exist: no file {place}/models/nosuch.yaml, and no journal" in str(
        done.exception
    )
    assert "Known models: digits, pets." in str(done.exception)
    assert before == everything(place)


@pytest.mark.parametrize("words", [each for each in VERBS if each[0] not in ("snapshot", "retain")], ids=" ".join)
@pytest.mark.parametrize("known_by", ["its file", "its config"])
def test_a_model_without_a_release_is_known(place: Path, words: tuple[str, ...], known_by: str) -> None:
    """...by its file or by the config that `init` has written."""
    model = "pets"
    if known_by == "its config":
        assert asked("init", model=model).exception is None
        (place / "models" / "pets.yaml").unlink()
    done = asked(*words, model=model)

    assert "does not exist: no file" not in f"{done.output} {done.exception}"


@pytest.mark.parametrize("words", [("status",), ("history",), ("reconcile",)], ids=" ".join)
def test_of_a_model_without_a_release_a_verb_that_looks_says_so(place: Path, words: tuple[str, ...]) -> None:
    done = asked(*words, model="pets")

    # The replica that is listed does not answer, which is a difference.
    assert (3 if words == ("status",) else 0) == done.exit_code
    assert "nothing was released yet" in " ".join(done.output.split())


@pytest.mark.parametrize("words", [each for each in VERBS if REASON[0] in each], ids=" ".join)
def test_of_a_model_without_a_release_a_verb_that_decides_is_refused(place: Path, words: tuple[str, ...]) -> None:
    before = everything(place)
    done = asked(*words, model="pets")

    assert isinstance(done.exception, BadInputError), done.output
    assert f"nothing was released yet for 'pets' in {place}/bucket" in str(done.exception)
    assert before == everything(place)


def test_init_of_an_unknown_name_makes_no_bucket(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_ROOT", str(place / "new"))
    refused, made = asked("init", model="nosuch"), asked("init", model="pets")

    assert f"and no bucket at {place}/new" in str(refused.exception)
    assert made.exception is None
    assert ["pets.config"] == [path.name for path in (place / "new" / "serve").iterdir()]


def test_the_command_line_ends_with_1_and_one_line(place: Path) -> None:
    done = pipeline(place, "history", UNDERSTUDY_MODEL="nosuch", UNDERSTUDY_MODELS=os.environ["UNDERSTUDY_MODELS"])

    assert 1 == done.returncode
    assert "" == done.stdout
    assert 1 == len(done.stderr.splitlines())
