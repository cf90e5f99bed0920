"""Trainings in processes of their own: the same twice, killed and resumed, ended early, in other precisions."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hunts import hunt
from tests.once import once

pytestmark = pytest.mark.timeout(300)

EARLY = {"early_stopping": {"patience": 1}, "learning_rate": 0.3, "epochs": 12}


def run(*words: str | Path, killed: bool = False) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "tests.pipeline.training.fitting.trainings", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    if killed:
        assert done.returncode == -9, done.stderr
        return None
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout or "null")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return once(tmp_path_factory, "fitting", lambda: run("every kind", tmp_path_factory.mktemp("trainings")))


def test_the_same_settings_give_the_same_weights(seen: Any) -> None:
    assert seen["first"]["weights"] == seen["again"]["weights"]
    assert seen["first"]["weights"] != seen["other rate"]["weights"]
    assert seen["first"]["facts"]["repeatable"].startswith("yes")


def test_each_epoch_is_told_once_with_its_metrics(seen: Any) -> None:
    assert [1, 2, 3, 4] == seen["told"]
    assert {"train/loss", "train/accuracy", "validation/loss", "validation/accuracy"} == set(
        seen["first"]["metrics"][0]
    )


def test_the_best_epoch_is_the_one_that_is_given_back(seen: Any) -> None:
    losses = [metrics["validation/loss"] for metrics in seen["stopped"]["metrics"]]

    assert losses.index(min(losses)) + 1 == seen["stopped"]["best"]


def test_a_training_stops_early(seen: Any) -> None:
    assert seen["stopped"]["best"] + 2 == len(seen["stopped"]["metrics"])
    assert len(seen["stopped"]["metrics"]) < 30


def test_without_validation_the_loss_of_the_training_counts(seen: Any) -> None:
    losses = [metrics["train/loss"] for metrics in seen["without validation"]["metrics"]]

    assert losses.index(min(losses)) + 1 == seen["without validation"]["best"]


def test_mixed_labels_are_trained_and_validated(seen: Any) -> None:
    assert 4 == len(seen["mixed labels"]["metrics"])
    assert math.isfinite(seen["mixed labels"]["metrics"][-1]["validation/loss"])


def test_a_network_in_mixed_precision_comes_out_in_float32(seen: Any) -> None:
    assert "mixed_float16" == seen["mixed precision"]["facts"]["precision"]
    assert ["float32"] == seen["mixed precision"]["dtypes"]


@pytest.mark.parametrize("changed", ["cosine", "weighted"])
def test_schedule_and_class_weights_have_an_effect(seen: Any, changed: str) -> None:
    assert seen["first"]["weights"] != seen[changed]["weights"]


def test_a_training_that_diverges_says_what_to_do(seen: Any) -> None:
    assert "the training has diverged: the loss of epoch 1 is" in seen["diverged"]
    assert "`training.learning_rate`" in seen["diverged"]


def test_a_training_without_any_metric_that_is_a_number_has_diverged_too(seen: Any) -> None:
    assert "the training has diverged: validation/loss was no number in any of 1 epochs" in seen["no metric"]


def test_a_checkpoint_that_does_not_fit_the_network_is_left_out(seen: Any) -> None:
    assert seen["first"] == seen["edited"]


def test_a_killed_training_resumes_on_another_machine_as_if_nothing_had_happened(tmp_path: Path, seen: Any) -> None:
    run("killed", tmp_path, "{}", "2", killed=True)
    resumed = run("resumed", tmp_path, "{}")

    assert seen["first"] == {name: resumed[name] for name in seen["first"]}
    assert [1, 2, 3, 4] == resumed["told"]


@hunt
@pytest.mark.parametrize("epoch", [1, 4])
def test_early_stopping_resumes_where_it_was(tmp_path: Path, epoch: int) -> None:
    whole = run("resumed", tmp_path / "whole", json.dumps(EARLY))
    run("killed", tmp_path / "killed", json.dumps(EARLY), str(epoch), killed=epoch <= len(whole["metrics"]))
    resumed = run("resumed", tmp_path / "killed", json.dumps(EARLY))

    assert whole == resumed


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Any]:
    """Settings with two phases of which the first ends early, and what a training without a kill gives."""
    folder = tmp_path_factory.mktemp("two phases")
    settings = {
        "epochs": 8,
        "learning_rate": 0.3,
        "early_stopping": {"patience": 1},
        "network": {"name": "mobilenet_v3_small", "weights": str(folder / "base.weights.h5")},
        "fine_tuning": {"epochs": 3, "learning_rate": 0.0001, "layers": 20},
    }
    return settings, run("resumed", folder / "whole", json.dumps(settings))


@hunt
@pytest.mark.parametrize("after_border", [0, 1])
def test_a_training_in_two_phases_resumes_at_their_border_and_in_the_second_one(
    tmp_path: Path, tuned: tuple[dict[str, Any], Any], after_border: int
) -> None:
    settings, whole = tuned
    (end,) = whole["phase_ends"]
    run("killed", tmp_path, json.dumps(settings), str(end + after_border), killed=True)

    assert 1 < end < settings["epochs"]
    assert end + 1 < len(whole["metrics"])
    assert whole == run("resumed", tmp_path, json.dumps(settings))


@hunt
@pytest.mark.parametrize("is_killed", [False, True])
def test_the_second_phase_begins_with_the_best_epoch_of_the_first(
    tmp_path: Path, tuned: tuple[dict[str, Any], Any], *, is_killed: bool
) -> None:
    """At a rate of almost zero, its first epoch has the loss with which it began."""
    settings, whole = tuned
    (end,) = whole["phase_ends"]
    changed = json.dumps(settings | {"fine_tuning": {"epochs": 1, "learning_rate": 1e-12}})
    if is_killed:
        run("killed", tmp_path, changed, str(end), killed=True)
    losses = [each["validation/loss"] for each in run("resumed", tmp_path, changed)["metrics"]]

    assert end + 1 == len(losses)
    assert min(losses[:end]) == pytest.approx(losses[end], rel=1e-3)
    assert losses[end - 1] != pytest.approx(losses[end], rel=1e-2)


@hunt
def test_two_devices_train_copies_of_one_network(tmp_path: Path) -> None:
    found = run("two devices", tmp_path)

    assert found["facts"]["device"].startswith("2 copies on ")
    assert "no: sums over several devices have no fixed order" == found["facts"]["repeatable"]
    assert ["float32"] == found["dtypes"]
    assert found["metrics"][-1]["train/loss"] < found["metrics"][0]["train/loss"]
