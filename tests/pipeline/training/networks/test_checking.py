"""What is said about a network before anything is trained, without Keras."""

import hashlib
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.spec import Training
from pipeline.training.networks.checking import problems

CONTENT = b"some weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def found(**network: Any) -> list[str]:
    return problems(Training.model_validate({"epochs": 1, "network": network}))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "some.h5").write_bytes(CONTENT)
    return tmp_path / "some.h5"


def test_good_networks_have_no_problems(file: Path) -> None:
    assert [] == found()
    assert [] == found(name="resnet50")
    assert [] == found(name="resnet50", weights="imagenet")
    assert [] == found(name="resnet50", weights=str(file), sha256=SHA256)
    assert [] == found(name="resnet50", weights="gs://bucket/some.h5", sha256=SHA256)
    assert [] == found(function="json.decoder:anything")


def test_a_file_is_compared_with_its_digest(file: Path) -> None:
    assert [f"`sha256: {SHA256}`"] == [each[-74:] for each in found(name="resnet50", weights=str(file))]
    assert ["training.network.weights: the SHA-256 of"] == [
        each[:40] for each in found(name="resnet50", weights=str(file), sha256="0" * 64)
    ]


def test_a_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    message = (
        f"training.network.weights: {tmp_path}/none.h5 cannot be read: No such file or directory; correct the path"
    )

    assert [message] == found(name="resnet50", weights=f"{tmp_path}/none.h5", sha256=SHA256)


def test_a_misspelt_imagenet_is_said_to_be_looked_for_as_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    message = (
        "training.network.weights: image_net cannot be read: No such file or directory; it is taken for the path of a "
        "file. Correct it, or give `imagenet` for what Keras publishes"
    )

    assert [message] == found(name="resnet50", weights="image_net", sha256=SHA256)


def test_a_file_in_a_bucket_needs_a_digest() -> None:
    (problem,) = found(name="resnet50", weights="s3://bucket/some.h5")

    assert "training.network.sha256 is missing" in problem
    assert "`sha256sum` prints" in problem


def test_modules_are_found_in_the_working_directory_and_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder])
    (tmp_path / "some_package" / "inner").mkdir(parents=True)
    (tmp_path / "some_package" / "__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "some_package" / "inner" / "nets.py").write_text("raise RuntimeError('imported')")

    assert [] == found(function="some_package.inner.nets:build")
    assert [
        f"training.network.function: there is no module some_package.other. Put its file into {tmp_path}, or install "
        f"its package; in a container, it must be in the image"
    ] == found(function="some_package.other.nets:build")
    assert "there is no module json.decoder.deeper." in found(function="json.decoder.deeper:build")[0]
