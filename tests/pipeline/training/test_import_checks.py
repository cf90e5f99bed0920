"""What is wrong with `import:`, found without loading the model."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from pipeline.spec import Imported
from pipeline.storage.sums import folder_digest, sums_of
from pipeline.training.exporting.import_checks import problems
from pipeline.training.exporting.import_files import local_model
from tests.object_storage import store
from tests.pipeline.storage.s3_store import s3_store

__all__ = ["s3_store", "store"]

LABELS = ("cat", "dog")
CONTENT = b"any content: nothing loads it"


@pytest.fixture
def keras_file(tmp_path: Path) -> Path:
    path = tmp_path / "pets.keras"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def saved_model(tmp_path: Path) -> Path:
    folder = tmp_path / "pets"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(CONTENT)
    (folder / "variables" / "variables.index").write_bytes(b"")
    return folder


def imported(model: Path | str, **fields: Any) -> Imported:
    return Imported.model_validate({"model": str(model), "labels": LABELS, **fields})


def test_a_file_with_its_digest_has_no_problems(keras_file: Path) -> None:
    digest = hashlib.sha256(CONTENT).hexdigest()

    assert [] == problems(imported(keras_file, sha256=digest), labels=["dog", "cat"])
    assert [] == problems(imported(keras_file, sha256=digest.upper()))


def test_a_folder_has_one_digest_for_all_its_files(saved_model: Path) -> None:
    digest = folder_digest(sums_of(saved_model))

    assert [] == problems(imported(saved_model, sha256=digest))
    (saved_model / "variables" / "variables.index").write_bytes(b"changed")
    assert [f"import.sha256: {saved_model} has "] == [
        each.split(folder_digest(sums_of(saved_model)))[0] for each in problems(imported(saved_model, sha256=digest))
    ]


@pytest.mark.parametrize("sha256", [None, "0" * 64])
def test_the_digest_that_is_found_can_be_pasted(keras_file: Path, sha256: str | None) -> None:
    (problem,) = problems(imported(keras_file, sha256=sha256))

    assert problem.endswith(f"write `sha256: {hashlib.sha256(CONTENT).hexdigest()}`")


def test_labels_that_differ_are_named_beside_the_digest(keras_file: Path) -> None:
    digest, labels = problems(imported(keras_file), labels=["cat", *(f"breed {number:02}" for number in range(12))])

    assert digest.startswith("import.sha256 is missing")
    assert labels.startswith("import.labels: the images have 'breed 00', 'breed 01', ")
    assert "'breed 09' and 2 more, which it does not name; it names 'dog', which the images do not have" in labels


def test_a_path_of_the_working_directory_is_found(keras_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(keras_file.parent)

    assert [] == problems(imported("pets.keras", sha256=hashlib.sha256(CONTENT).hexdigest()))


def test_a_link_that_leads_out_of_a_folder_is_named(saved_model: Path, keras_file: Path) -> None:
    (saved_model / "assets.txt").symlink_to(keras_file)
    (problem,) = problems(imported(saved_model, sha256="0" * 64))

    assert problem.startswith(f"import.model: {saved_model}/assets.txt ")


@pytest.mark.parametrize("model", ["gs://", "ftp://models/pets.keras"])
def test_an_address_that_is_none_is_named(model: str) -> None:
    (problem,) = problems(imported(model, sha256="0" * 64))

    assert problem.startswith("import.model: ")
    assert "is neither a path nor gs://bucket/prefix or s3://bucket/prefix" in problem


@pytest.mark.parametrize("kind", ["store", "s3_store"])
def test_a_model_in_an_object_store_is_checked_and_copied(
    kind: str, request: pytest.FixtureRequest, saved_model: Path, tmp_path: Path
) -> None:
    bucket = request.getfixturevalue(kind).bucket()
    bucket.write("models/pets.keras", CONTENT)
    for path in (path for path in saved_model.rglob("*") if path.is_file()):
        bucket.write(f"models/pets/{path.relative_to(saved_model)}", path.read_bytes())
    (tmp_path / "scratch").mkdir()
    folder = imported(bucket.uri("models/pets"), sha256=folder_digest(sums_of(saved_model)))
    file = imported(bucket.uri("models/pets.keras"), sha256=hashlib.sha256(CONTENT).hexdigest())

    assert [] == problems(folder, seconds=3.0)
    assert [] == problems(file, seconds=3.0)
    assert sums_of(saved_model) == sums_of(local_model(folder, tmp_path / "scratch", seconds=3.0))
    assert CONTENT == local_model(file, tmp_path / "scratch", seconds=3.0).read_bytes()
    (lost,) = problems(imported(bucket.uri("models/none.keras"), sha256="0" * 64), seconds=3.0)
    assert f"import.model: {bucket.uri('models/none.keras')} does not exist" in lost
    (empty,) = problems(imported(bucket.uri("none"), sha256="0" * 64), seconds=3.0)
    assert "has no saved_model.pb" in empty
    bucket.close()


def test_what_is_loaded_is_a_copy_of_what_was_compared(saved_model: Path, tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    digest = folder_digest(sums_of(saved_model))
    copy = local_model(imported(saved_model, sha256=digest), tmp_path / "scratch", seconds=1.0)

    assert sums_of(saved_model) == sums_of(copy)
    assert copy.is_relative_to(tmp_path / "scratch")
