"""What people find in MLflow of a training, whatever its labels are, and what becomes of it when MLflow fails."""

import csv
import io
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from pipeline.tracking.metric_names import metric_name
from tests.mlflow_server import url
from tests.pipeline.tracking.tracked import DAG_RUN, LABELS, MANY, NOTE, PUBLIC_URL

__all__ = ["url"]

# One program trains three times, for all of these tests.
pytestmark = pytest.mark.timeout(300)

DONE = dict.fromkeys(("snapshot", "train", "evaluate", "gate", "publish"), "done")


@pytest.fixture(scope="module")
def seen(url: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    command = [sys.executable, "-m", "tests.pipeline.tracking.tracked", str(tmp_path_factory.mktemp("tracked")), url]
    quiet = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=quiet, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


class TestLabels:
    """What the name of a folder may be: brackets, commas, mathematics, other scripts, line breaks, 200 characters."""

    def test_any_of_them_is_trained_evaluated_and_published(self, seen: Any) -> None:
        assert DONE == seen["odd"]["ended"]

    def test_each_has_a_metric_of_its_own(self, seen: Any) -> None:
        found = {name for name in seen["odd"]["kept"]["metrics"] if name.startswith("holdout_recall/")}

        assert {f"holdout_recall/{metric_name(label)}" for label in LABELS} == found
        assert len(LABELS) == len(found)

    def test_a_table_beside_the_picture_says_which_label_a_metric_is_of(self, seen: Any) -> None:
        rows = list(csv.DictReader(io.StringIO(seen["odd"]["table"], newline="")))

        tables, pictures = ["classes.csv", "confusions.csv"], ["confusion.png", "learning_curves.png", "mistakes.png"]
        assert sorted([*tables, *pictures, "data"]) == seen["odd"]["kept"]["artifacts"]
        assert sorted(LABELS) == [row["label"] for row in rows]
        assert [metric_name(label) for label in sorted(LABELS)] == [row["metric"] for row in rows]
        assert [str(number) for number in range(len(LABELS))] == [row["class"] for row in rows]

    def test_the_asset_of_the_model_has_one_line_for_each(self, seen: Any) -> None:
        lines = [label.replace("\n", "\\n") for label in sorted(LABELS)]

        assert lines == seen["odd"]["asset"].split("\n")[:-1]

    def test_a_thousand_of_them_are_in_the_table_and_no_chart_each(self, seen: Any) -> None:
        assert MANY == 1000
        assert seen["many"]["metrics"] < 20


def test_a_note_is_shortened_and_cannot_do_anything_to_a_terminal(seen: Any) -> None:
    note = seen["odd"]["kept"]["tags"]["note"]

    assert note.startswith("why   [31m xxx")
    assert note.endswith(f"({len(NOTE)} characters, all of them in spec.json of the run)")
    assert len(note) < 5000


def test_a_run_links_to_the_dag_run_that_it_is_part_of(seen: Any) -> None:
    tags = seen["odd"]["kept"]["tags"]

    assert DAG_RUN == tags["airflow_run"]
    assert f"[The DAG run in Airflow]({DAG_RUN})" in tags["mlflow.note.content"]


def test_the_logs_link_to_the_run_at_the_address_that_browsers_use(seen: Any) -> None:
    """...which is not the one that verbs use: inside of containers, MLflow has another name."""
    links = [each for each in seen["odd"]["links"] if each.startswith("This run in MLflow: ")]

    assert 2 == len(links), "of train and of evaluate"
    assert [] == [each for each in links if not each.startswith(f"This run in MLflow: {PUBLIC_URL}/#/experiments/")]


def test_a_run_has_the_verdict_of_the_gate_with_its_reasons(seen: Any) -> None:
    tags = seen["odd"]["kept"]["tags"]

    assert "passed" == tags["gate"]
    assert "size in MB" in tags["gate_reasons"]
    assert "Gate: passed. " in tags["mlflow.note.content"]


def test_the_experiment_has_the_columns_that_people_look_for(seen: Any) -> None:
    view = json.loads(seen["odd"]["kept"]["experiment"]["mlflow.sharedViewState.understudy"])

    assert {"metrics.`holdout/accuracy`", "tags.`decision`"} <= set(view["selectedColumns"])


def test_another_bucket_with_the_same_model_and_run_key_gets_a_run_of_its_own(seen: Any) -> None:
    first, other = seen["odd"]["kept"], seen["another"]["kept"]

    assert DONE == seen["another"]["ended"]
    assert first["run"] != other["run"]
    assert ("2", "1") == (first["params"]["epochs"], other["params"]["epochs"])
    assert first["tags"]["understudy.run_key"] == other["tags"]["understudy.run_key"]
    assert first["tags"]["understudy.bucket"] != other["tags"]["understudy.bucket"]
    assert other["tags"]["understudy.bucket_address"].endswith("/another/bucket")
    assert seen["another"]["untouched"]


def test_train_logs_the_report_about_the_images(seen: Any) -> None:
    assert "data" in seen["odd"]["kept"]["artifacts"]
    assert len(LABELS) == seen["odd"]["kept"]["metrics"]["data/classes"]


def test_the_report_about_the_images_is_an_artifact_and_its_figures_are_metrics(seen: Any) -> None:
    assert ["data/classes.csv", "data/index.html"] == seen["data"]["artifacts"]
    expected = {"data/images": 8.0, "data/unusable": 1.0, "data/classes": 2.0, "data/imbalance": 3.0}
    assert expected == seen["data"]["metrics"]


class TestFailures:
    def test_before_a_training_nothing_is_trained(self, seen: Any) -> None:
        ended = seen["failures"]["down"]["train"]

        assert ended.startswith("COULD_NOT_TELL: MLflow at http://127.0.0.1:9 could not open the run (")
        assert "Nothing was trained yet. " in ended
        assert ended.endswith("Start or repair MLflow, then repeat this step (in Airflow: clear the task).")

    def test_while_a_network_is_trained_do_not_end_the_training(self, seen: Any) -> None:
        ended = seen["failures"]["training"]["train"]

        assert ended.startswith("COULD_NOT_TELL: MLflow at http://127.0.0.1:")
        assert "could not log the metrics of the training" in ended
        assert "The trained model is stored in runs/plants/retrain-2/model-" in ended
        assert "a repeated task does not train again" in ended
        assert seen["failures"]["stored"]

    def test_after_it_cost_no_second_training(self, seen: Any) -> None:
        registering = seen["failures"]["registering"]["train"]

        assert registering.startswith("COULD_NOT_TELL: ")
        assert "could not register the model of this run" in registering
        assert {"train": "done"} == seen["failures"]["repeated"]
        assert 2 == seen["failures"]["epochs_trained"]

    def test_leave_each_epoch_in_mlflow_once(self, seen: Any) -> None:
        assert [1, 2] == seen["failures"]["kept"]["epochs"]
        assert "FINISHED" == seen["failures"]["kept"]["status"]

    def test_while_the_evaluation_is_logged_are_said_and_repeated(self, seen: Any) -> None:
        ended = seen["failures"]["evaluating"]["evaluate"]

        assert ended.startswith("COULD_NOT_TELL: ")
        assert "could not log the evaluation" in ended
        assert "a repeated task evaluates it again" in ended

    def test_and_a_deleted_run_do_not_stop_the_release(self, seen: Any) -> None:
        assert {"evaluate": "done", "gate": "done", "publish": "done"} == seen["failures"]["rest"]
        assert 1 == seen["failures"]["version"]

    def test_of_a_person_who_deletes_the_run_of_a_training(self, seen: Any) -> None:
        ended = seen["deleted"]["ended"]["train"]

        assert ended.startswith("COULD_NOT_TELL: ")
        assert "must be in the 'active' state" in ended
        assert {"train": "done"} == seen["deleted"]["repeated"]
        assert [1, 2] == seen["deleted"]["kept"]["epochs"]
