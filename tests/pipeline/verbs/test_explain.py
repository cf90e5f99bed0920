"""`explain`: a picture for each image, from a published version, with no replica."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ExitCode


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("explain")


@pytest.fixture(scope="module")
def seen(folder: Path) -> Any:
    command = [sys.executable, "-m", "tests.pipeline.verbs.explaining", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def last_line(text: str) -> str:
    return text.splitlines()[-1]


def test_the_version_that_serves_is_explained_by_default(seen: Any, folder: Path) -> None:
    assert 0 == seen["serving"]["code"], seen["serving"]["err"]
    assert ["up-v1.png"] == seen["first_files"]
    title, *_, row, _ = seen["serving"]["out"].splitlines()
    assert "digits v1" == title.strip()
    assert [f"{folder}/images/up.png", "up", "0.0%", f"{folder}/out/deep/up-v1.png"] == [
        cell.strip() for number, cell in enumerate(row.strip("│").split("│")) if number != 2
    ]


def test_the_file_is_a_png_that_can_be_read_from_a_distance(seen: Any) -> None:
    kind, width, height = seen["picture"]

    assert "PNG" == kind
    assert 900 == width
    assert 400 < height < 800


def test_an_earlier_picture_is_replaced_and_the_table_says_so(seen: Any) -> None:
    assert 0 == seen["again"]["code"]
    assert "up-v1.png (replaced)" in seen["again"]["out"]


def test_another_class_has_a_file_of_its_own(seen: Any) -> None:
    assert 0 == seen["class"]["code"], seen["class"]["err"]
    assert "日本 $x$ [b]" in seen["class"]["out"]
    assert ["up-v1-class1.png", "up-v1.png"] == seen["class_files"]


def test_bad_images_are_named_and_the_others_are_explained(seen: Any, folder: Path) -> None:
    """...of any format and size, and in folders."""
    assert ExitCode.FAILED == seen["all"]["code"]
    assert ["deep-x-v1.png", "down-v1.png", "large-v1.png"] == seen["all_files"]
    assert "2 problems:" in seen["all"]["err"]
    assert f"{folder}/images/short.png is cut off" in seen["all"]["err"]
    assert f"{folder}/images/none.png: No such file or directory" in seen["all"]["err"]
    assert "large-v1.png" in seen["all"]["out"]


def test_a_folder_with_earlier_pictures_can_be_explained_again(seen: Any) -> None:
    assert [0, 0] == seen["folder_twice"]
    assert [".hidden", "deep-x-v1.png", "deep/x.gif", "down-v1.png", "down.jpg"] == seen["more_files"]


def test_another_file_of_the_name_stays(seen: Any) -> None:
    """...and the other images are explained."""
    assert ExitCode.FAILED == seen["foreign"]["code"]
    assert seen["foreign"]["kept"]
    assert "large-v1.png exists and is not of this command; remove it" in seen["foreign"]["err"]
    assert "up-v1.png (replaced)" in seen["foreign"]["out"]


@pytest.mark.parametrize(
    ("expected", "case"),
    [
        ("nothing was released yet for 'digits'", "unreleased"),
        ("no version serves; name one with --version, see `understudy history --model digits`", "unserved"),
        ("v2 cannot be explained: it has no signature 'serving_tensor'", "old"),
        ("Train or import the model again, and explain the new version", "old"),
        ("v7 was never published", "unknown"),
        ("'newest': give a version number, for example 4 or v4, or: serving", "malformed"),
        ("--class 'cat' is not a label of v1; its labels are: 'up', '日本 $x$ [b]'", "label"),
        ("no image in ", "empty"),
        ("a file/below: Not a directory", "no_folder"),
        ("a file is a file; name a folder", "a_file"),
        ("variables.data-00000-of-00001", "damaged"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(seen: Any, expected: str, case: str) -> None:
    assert ExitCode.FAILED == seen[case]["code"]
    assert expected in last_line(seen[case]["err"])
    assert "" == seen[case]["out"]


def test_the_first_eight_of_the_worst_answers_are_explained(seen: Any) -> None:
    assert [1, "日本 $x$ [b]", 0, "up", True, True, True] == seen["worst"][1]
    assert [True] * 8 + [False] * 2 == [each[4] for each in seen["worst"]]


def test_without_time_for_it_the_worst_answers_are_shown_and_not_explained(seen: Any) -> None:
    assert [False] * 10 == [each[4] for each in seen["worst_at_once"]]


def test_of_a_model_without_gradients_no_answer_is_shown_and_nothing_fails(seen: Any) -> None:
    assert [] == seen["worst_of_old"]
