"""Requests that a server runs while it loads a version."""

from pathlib import Path

from serving.apis import prediction_log_pb2
from tests.conformance.checks.loads import fails
from tests.conformance.facts import Needs, fact
from tests.conformance.models import CLASSIFY, REGRESS, warm_up_record, write_warm_up
from tests.conformance.server import ServerUnderTest
from tests.serving.inference.echo import example, listed

_GOOD = warm_up_record("", x=[1.0])


def _records_with_examples() -> list[bytes]:
    regress, classify = ({"name": "any", "signature_name": each} for each in ("regress", "classify"))
    given = listed(example(x=2.0))
    tasks = [{"model_spec": regress, "method_name": REGRESS}, {"model_spec": classify, "method_name": CLASSIFY}]
    logs = (
        prediction_log_pb2.PredictionLog(regress_log={"request": {"model_spec": regress, "input": given}}),
        prediction_log_pb2.PredictionLog(classify_log={"request": {"model_spec": classify, "input": given}}),
        prediction_log_pb2.PredictionLog(multi_inference_log={"request": {"tasks": tasks, "input": given}}),
    )
    return [each.SerializeToString() for each in logs]


@fact(
    "warm-up-failure-fails-the-load",
    "a warm-up request that fails makes the load fail, and the old version keeps serving",
    relied="export writes a warm-up request",
    needs=Needs.FILES,
)
def _failure(at: ServerUnderTest) -> None:
    words = fails(at, "cold", lambda folder: write_warm_up(folder, [warm_up_record("nothing", x=[1.0])]))
    at.expect_in('Serving signature key "nothing" not found.', words)


@fact(
    "warm-up-notices-missing-variables",
    "a version without its variables, with a warm-up request, fails to load",
    relied="export writes a warm-up request",
    needs=Needs.FILES,
)
def _missing_variables(at: ServerUnderTest) -> None:
    def change(folder: Path) -> None:
        write_warm_up(folder, [_GOOD])
        for file in (folder / "variables").iterdir():
            file.unlink()

    at.expect_in("Could not find variable", fails(at, "warned", change))


@fact(
    "warm-up-of-every-kind",
    "records of predict, classify, regress and multi-inference are run; one of session_run fails the load",
    relied="embedded server",
    needs=Needs.FILES,
)
def _kinds(at: ServerUnderTest) -> None:
    at.folder.add("warm", 1, warm_up=[_GOOD, *_records_with_examples()])
    at.deploy(at.folder.model("warm", versions=[1]))
    at.eventually([(1, "AVAILABLE")], lambda: at.states("warm"))
    session = prediction_log_pb2.PredictionLog(session_run_log={}).SerializeToString()
    at.expect_in("Unsupported log_type for warmup", fails(at, "session", lambda each: write_warm_up(each, [session])))


@fact(
    "warm-up-damaged-file",
    "a warm-up file that is damaged fails the load: `Please verify your warmup data is in TFRecord format.`",
    relied="embedded server",
    needs=Needs.FILES,
)
def _damaged(at: ServerUnderTest) -> None:
    def change(folder: Path) -> None:
        write_warm_up(folder, [])
        (folder / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"these are no records")

    at.expect_in("Please verify your warmup data is in TFRecord format.", fails(at, "torn", change))


@fact(
    "warm-up-at-most-1000",
    "more than 1000 warm-up records fail the load",
    relied="embedded server",
    needs=Needs.FILES,
)
def _too_many(at: ServerUnderTest) -> None:
    words = fails(at, "many", lambda folder: write_warm_up(folder, [_GOOD] * 1001))
    at.expect_in("Number of warmup records exceeds the maximum (1000)", words)
