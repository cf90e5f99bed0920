"""The command line: exit codes, the one line, and what a person is told."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import CouldNotTellError
from pipeline.runs.records import EvaluateRecord, Example, GateRecord, SnapshotRecord, SpecRecord, TrainRecord
from pipeline.verbs.gate import gate
from pipeline.verdicts.measurements import Evaluation
from pipeline.verdicts.verdict import Decision
from tests.fleet import LABELS
from tests.pipeline.verdicts.test_gate import performance
from tests.releases import NO_MLFLOW, World

PROJECT = Path(__file__).parents[2]
FORCED = {"UNDERSTUDY_PARAMS": '{"force": true}'}


def pipeline(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A verb as Airflow would run it, with nothing listening anywhere."""
    (folder / "bucket").mkdir(exist_ok=True)
    there = {
        "UNDERSTUDY_ROOT": str(folder / "bucket"),
        "UNDERSTUDY_MODELS": str(PROJECT / "models"),
        "UNDERSTUDY_MODEL": "digits",
        "UNDERSTUDY_REPLICAS": "127.0.0.1:9",
        "UNDERSTUDY_MLFLOW_URL": NO_MLFLOW,
        "UNDERSTUDY_ACTOR": "ann",
    }
    command = [sys.executable, "-m", "pipeline", *words]
    return subprocess.run(
        command, cwd=PROJECT, env=os.environ | there | environment, capture_output=True, text=True, check=False
    )


def line(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    (only,) = done.stdout.splitlines()
    content: dict[str, object] = json.loads(only)
    return content


def test_a_verb_leaves_one_line_and_its_record(tmp_path: Path) -> None:
    params = json.dumps({"epochs": 3, "seed": None, "note": 'quotes " and $(touch x)', "force": False, "other": 1})
    done = pipeline(tmp_path, "snapshot", "--run", "retrain-1", UNDERSTUDY_PARAMS=params)

    assert 0 == done.returncode, done.stderr
    assert ("snapshot", "done", 1797) == (line(done)["verb"], line(done)["outcome"], line(done)["images"])
    records = World(tmp_path).context("retrain-1").records
    spec = records.require(SpecRecord).spec
    assert spec.model.training
    assert (3, "ann", 'quotes " and $(touch x)') == (spec.model.training.epochs, spec.requested_by, spec.note)
    assert 1797 == records.require(SnapshotRecord).count()


@pytest.mark.parametrize(
    ("told", "words", "environment"),
    [
        ("does not have the form kind-digits", ["snapshot", "--run", "../../etc"], {}),
        ("force overrules the gate and needs a note", ["snapshot", "--run", "retrain-1"], FORCED),
        ("UNDERSTUDY_PARAMS: Invalid JSON", ["snapshot", "--run", "retrain-1"], {"UNDERSTUDY_PARAMS": "{"}),
        ("UNDERSTUDY_RPC_SECONDS", ["status"], {"UNDERSTUDY_RPC_SECONDS": "soon"}),
        ("replica '127.0.0.1' is not host:port", ["status"], {"UNDERSTUDY_REPLICAS": "127.0.0.1"}),
        ("record. Run `understudy snapshot --model digits --run retrain-1`", ["train", "--run", "retrain-1"], {}),
        ("a roll-back needs a reason", ["rollback", "--to", "previous"], {}),
        ("for example 4 or v4, or: previous", ["rollback", "--to", "yesterday", "--reason", "bad"], {}),
        ("nothing was released yet for 'digits'", ["rollback", "--reason", "bad"], {}),
    ],
)  # fmt: skip
def test_bad_input_is_told_in_a_line_and_changes_nothing(
    tmp_path: Path, told: str, words: list[str], environment: dict[str, str]
) -> None:
    done = pipeline(tmp_path, *words, **environment)

    assert 1 == done.returncode
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert 0 == World(tmp_path).history().seq


def test_init_creates_the_config_that_servers_wait_for_and_changes_nothing_later(tmp_path: Path) -> None:
    first = pipeline(tmp_path, "init")
    config = (tmp_path / "bucket/serve/digits.config").read_text()
    again = pipeline(tmp_path, "init")

    assert (0, 0) == (first.returncode, again.returncode)
    assert config.endswith("model_config_list {}\n")
    assert config == (tmp_path / "bucket/serve/digits.config").read_text()


def test_train_without_mlflow_could_not_tell_before_it_trained(tmp_path: Path) -> None:
    """F39."""
    pipeline(tmp_path, "snapshot", "--run", "retrain-1")
    done = pipeline(tmp_path, "train", "--run", "retrain-1")

    assert 75 == done.returncode
    assert "could not tell" == line(done)["outcome"]
    assert f"MLflow at {NO_MLFLOW} could not open the run" in done.stderr
    assert "epoch" not in done.stderr


class TestGate:
    """The verb around the verdict: what it records and how it ends."""

    @staticmethod
    def judged(
        world: World,
        right: str,
        *,
        force: bool = False,
        serving: str | None = None,
        present: tuple[str, ...] = LABELS,
    ) -> GateRecord:
        context = world.approve("retrain-0")
        spec = context.records.require(SpecRecord).spec.model_copy(
            update={"run_key": "retrain-1", "force": force, "note": "we need it", "requested_by": "ann"}
        )
        run = world.context("retrain-1")
        evaluation = Evaluation(
            candidate=performance(right),
            serving_version=7 if serving else None,
            serving=performance(serving) if serving else None,
            serving_labels=LABELS if serving else None,
        )
        examples = tuple(Example(sha256=label * 64, suffix=".png", label=label, split="holdout") for label in present)
        run.records.finish(SpecRecord(spec=spec))
        run.records.finish(SnapshotRecord(digest="d" * 64, labels=LABELS, examples=examples, serving_version=7))
        run.records.finish(context.records.require(TrainRecord))
        run.records.finish(EvaluateRecord(evaluation=evaluation))
        return gate(run)

    def test_a_no_is_a_decline_with_its_reasons(self, tmp_path: Path) -> None:
        record = self.judged(World(tmp_path), "1" * 20 + "0" * 80)

        assert "declined" == record.outcome
        assert "accuracy 0.2 < 0.5" in record.reason

    def test_force_overrules_a_no_and_says_who_and_why(self, tmp_path: Path) -> None:
        record = self.judged(World(tmp_path), "1" * 20 + "0" * 80, force=True)

        assert ("done", "ann", "forced by ann: we need it") == (record.outcome, record.forced_by, record.reason)
        assert Decision.FAIL is record.verdict.decision

    def test_force_does_not_overrule_a_missing_label(self, tmp_path: Path) -> None:
        good = "1" * 500
        record = self.judged(World(tmp_path), good, force=True, serving=good, present=LABELS[1:])

        assert "declined" == record.outcome
        assert "label '0' of v7 is missing from the images; v7 still serves" in record.reason

    def test_undecided_leaves_no_record_but_the_verdict(self, tmp_path: Path) -> None:
        world = World(tmp_path)
        with pytest.raises(CouldNotTellError, match="too few examples"):
            self.judged(world, "1" * 18 + "0" * 2, serving="1" * 18 + "0" * 2)
        records = world.context("retrain-1").records

        assert records.find(GateRecord) is None
        last = records.last_attempt()
        assert last is not None
        assert Decision.UNKNOWN is last.decision
