"""Folders of images whose labels change between two runs, through the real verbs and a real model server."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hunts import hunt

# Real trainings, one after the other, for all of these tests: for `make prove`. The rules have fast tests of their own.
pytestmark = [pytest.mark.timeout(300), hunt]

PROJECT = Path(__file__).parents[3]
FIRST = ["bird", "cat", "dog"]
BIG_ANT = "big ant"


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("world")
    command = [sys.executable, "-m", "tests.pipeline.verbs.relabelling", str(folder)]
    # MLflow without a server leaves pictures in the working folder.
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_first_model_has_its_labels_in_alphabetical_order(seen: Any) -> None:
    assert ("done", FIRST) == (seen["first"]["ended"], seen["first"]["labels"])


def test_a_renamed_class_is_declined_by_both_names_even_by_force(seen: Any) -> None:
    renamed = seen["renamed"]

    assert [*FIRST, "aardvark"] == renamed["labels"]
    assert renamed["ended"].startswith(
        "declined by gate: fail: label 'dog' of v1 is missing from the images, and 'aardvark' is new; v1 still serves"
    )


def test_images_under_a_new_name_are_no_mistakes_of_what_serves(seen: Any) -> None:
    assert 0 < seen["renamed"]["compared"] < seen["renamed"]["held_out"]


def test_an_emptied_class_is_declined_and_no_index_moves(seen: Any) -> None:
    emptied = seen["emptied"]

    assert (FIRST, ["cat"]) == (emptied["labels"], emptied["missing"])
    assert ["bird", "dog"] == emptied["recall"]
    assert "declined by gate: fail: label 'cat' of v1 is missing from the images; v1 still serves" in emptied["ended"]


def test_an_accepted_addition_is_appended_and_serves(seen: Any) -> None:
    added = seen["added"]

    assert "done" == added["ended"]
    assert [*FIRST, "ant", BIG_ANT] == added["labels"]
    assert f"labels keep the order of v1, 'ant', '{BIG_ANT}' added as accepted" in added["reasons"]


def test_an_accepted_removal_moves_the_indices_behind_it_and_serves(seen: Any) -> None:
    removed = seen["removed"]

    assert "done" == removed["ended"]
    assert ["bird", "dog", "ant", BIG_ANT] == removed["labels"]
    assert "labels keep the order of v2, 'cat' removed as accepted" in removed["reasons"]


def test_every_manifest_keeps_the_labels_of_its_version(seen: Any) -> None:
    assert {
        "1": FIRST,
        "2": [*FIRST, "ant", BIG_ANT],
        "3": ["bird", "dog", "ant", BIG_ANT],
    } == seen["manifests"]


def test_a_training_may_begin_with_the_weights_of_the_version_that_serves(seen: Any) -> None:
    assert "done" == seen["warm"]["ended"]
    assert seen["warm"]["began_with"].startswith("v3: warm start: ")
    assert seen["warm"]["began_with"].endswith(" weights of the serving version were taken")


def test_an_imported_network_is_released_without_a_training_and_under_the_labels_of_the_images(seen: Any) -> None:
    imported = seen["imported"]

    assert ("done", 0) == (imported["ended"], imported["epochs"])
    assert ["dog"] == imported["golden"]
    assert 4 == imported["serving"]
