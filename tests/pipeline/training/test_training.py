"""One real training step and one real export, in one process that imports TensorFlow."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.once import once


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return once(tmp_path_factory, "training", lambda: _trained(tmp_path_factory.mktemp("export")))


def _trained(folder: Path) -> Any:
    command = [sys.executable, "-m", "tests.pipeline.training.training", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_every_epoch_is_told_with_its_validation(seen: Any) -> None:
    assert [1, 2] == seen["epochs"][:2]


def test_the_export_keeps_its_promises_to_clients(seen: Any) -> None:
    assert [] == seen["problems"]
    assert {seen["input"]: "serving_default_image_bytes:0"} == seen["inputs"]


def test_a_broken_promise_is_named(seen: Any) -> None:
    """F23: a shape that changed is found before anything is published."""
    assert [
        "output 'probabilities' is DT_FLOAT [-1, 2], not DT_FLOAT [-1, 3]",
        "output 'probabilities' is DT_FLOAT [-1, 2], not DT_FLOAT [-1, 3], in the signature 'serving_tensor'",
        "output 'labels' is DT_STRING [-1, 2], not DT_STRING [-1, 3], in the signature 'serving_labels'",
    ] == seen["problems_with_a_label_more"]


def test_the_served_answers_are_those_of_the_trained_network(seen: Any) -> None:
    """F17, F18: one decoding for training and serving, weights restored as a server restores them."""
    assert seen["skew"] < 1e-5
    assert [pytest.approx(1.0, abs=1e-5)] * 16 == seen["sums"]


def test_images_in_batches_are_answered_as_all_at_once(seen: Any) -> None:
    assert [True] * 7 == seen["streamed"]


def test_labels_travel_with_the_model(seen: Any) -> None:
    """F16."""
    assert set(seen["labels"]) <= {"dark", "light"}
    assert "dark\nlight\n" == seen["asset"]


def test_one_batch_may_mix_formats_and_sizes(seen: Any) -> None:
    assert 3 == seen["mixed"]


def test_what_is_no_image_is_refused_as_the_clients_fault(seen: Any) -> None:
    assert "INVALID_ARGUMENT" == seen["refused"]


def test_warm_up_turns_missing_variables_into_a_failed_load(seen: Any) -> None:
    """F14: without them the load alone would succeed and every answer fail."""
    assert "FAILED_PRECONDITION" == seen["without_variables"]


def test_a_seed_decides_the_weights(seen: Any) -> None:
    assert seen["same_seed_same_weights"]
    assert seen["other_seed_other_weights"]
