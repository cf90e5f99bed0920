"""What crashes leave half done is ended by `reconcile`, whenever it comes and however often: on real model servers."""

import json
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import layout
from pipeline.errors import CouldNotTellError, DeclinedError, FailedError
from pipeline.journal.entries import Event
from pipeline.journal.state import State
from pipeline.rules import run as run_rules
from pipeline.runs.records import CanaryRecord
from pipeline.verbs.reconcile import Repairs, reconcile
from pipeline.verdicts.verdict import Decision, Verdict
from tests.dags.moving import make_serve
from tests.half_way import HOURS, begin_promotion, begin_roll_back, coming, registry
from tests.mlflow_registry import MlflowRegistry
from tests.pipeline.test_cli import line, pipeline
from tests.released import start_released
from tests.releases import MODEL, World, eventually, restart_on_an_older_config


@pytest.fixture
def mlflow() -> MlflowRegistry:
    return registry()


def second_run(world: World, mlflow: MlflowRegistry, *, hours: float = 0) -> tuple[Repairs, int]:
    """What another run finds, and how many entries it writes."""
    before = world.history().seq
    found = reconcile(coming(world, "reconcile-2", hours=hours, mlflow=mlflow))
    return found, world.history().seq - before


def test_after_a_release_there_is_nothing_to_mend(world: World, mlflow: MlflowRegistry) -> None:
    start_released(world, 1)
    before = world.history().seq
    first = reconcile(coming(world, mlflow=mlflow))
    again, written = second_run(world, mlflow)

    assert ["MLflow's aliases say production v1 now"] == first.repaired
    assert (Repairs(), 0) == (again, written)
    assert before == world.history().seq


def test_a_model_that_was_never_released_leaves_no_trace(world: World, mlflow: MlflowRegistry) -> None:
    files = sorted(path for path in world.bucket.rglob("*") if path.is_file())
    found = reconcile(coming(world, mlflow=mlflow))
    found.require_complete()

    assert "nothing was released yet for 'digits'" in found.left[0]
    assert files == sorted(path for path in world.bucket.rglob("*") if path.is_file())


def test_a_config_changed_by_hand_is_written_anew(world: World, mlflow: MlflowRegistry) -> None:
    start_released(world, 2)
    world.config.write_text(world.config.read_text().replace("value: 2", "value: 1"))
    assert eventually(lambda: world.answering() == [1, 1])
    found = reconcile(coming(world, mlflow=mlflow))

    assert f"{layout.config(MODEL)} was written from journal entry {world.history().seq}" in found.repaired
    assert [2, 2] == world.answering()


def test_a_roll_back_that_was_written_and_not_carried_out_is_finished(world: World, mlflow: MlflowRegistry) -> None:
    start_released(world, 2)
    begin_roll_back(world, 1, loaded=True)
    before = world.history().seq
    reconcile(coming(world, mlflow=mlflow)).require_complete()

    assert [1, 1] == world.answering()
    assert [(Event.WITHDRAWN, 2), (Event.CONFIRMED, 1)] == world.events(before)
    assert "it is bad" == world.history().all()[-2].reason
    assert (Repairs(), 0) == second_run(world, mlflow)


def test_a_roll_back_to_what_was_never_confirmed_is_confirmed(world: World, mlflow: MlflowRegistry) -> None:
    start_released(world, 1)
    world.publish("retrain-2")
    world.run("canary", "retrain-2")
    begin_promotion(world, "retrain-2")
    world.roll_back("1")
    # A server that must load v2 again before it has begun to unload it first answers from it, and then unloads it.
    assert eventually(lambda: world.context("x-1").replicas.is_loaded_somewhere(2) is False)
    begin_roll_back(world, 2, loaded=False)
    world.context("x-1").rollout.settle()
    assert eventually(lambda: world.context("x-1").replicas.is_loaded_somewhere(2) is True)
    begin_roll_back(world, 2, loaded=True)
    before = world.history().seq
    reconcile(coming(world, mlflow=mlflow)).require_complete()

    assert [2, 2] == world.answering()
    assert [(Event.CONFIRMED, 2)] == world.events(before)
    assert (Repairs(), 0) == second_run(world, mlflow)


def test_a_roll_back_that_a_replica_does_not_follow_names_it_and_waits_for_it(
    world: World, mlflow: MlflowRegistry
) -> None:
    start_released(world, 3)
    away = world.replicas[1]
    away.stop()
    begin_roll_back(world, 2, loaded=True)
    before = world.history().seq
    found = reconcile(coming(world, hours=HOURS, mlflow=mlflow))
    with pytest.raises(CouldNotTellError, match=re.escape(f"Not followed: {away.address}")):
        found.require_complete()
    assert before == world.history().seq

    away.start()
    reconcile(coming(world, "reconcile-2", mlflow=mlflow)).require_complete()
    assert [2, 2] == world.answering()
    assert State(serving=2, previous=1, next_version=4) == world.history().state


def test_a_promotion_that_every_replica_has_followed_is_confirmed(world: World, mlflow: MlflowRegistry) -> None:
    start_released(world, 1)
    world.publish("retrain-2")
    world.run("canary", "retrain-2")
    begin_promotion(world, "retrain-2")
    before = world.history().seq
    reconcile(coming(world, mlflow=mlflow)).require_complete()

    assert [2, 2] == world.answering()
    assert [(Event.CONFIRMED, 2)] == world.events(before)
    assert "done" == world.run("promote", "retrain-2").outcome


class TestStoppedPromotion:
    """One replica does not follow, and the run that promoted is gone."""

    @pytest.fixture
    def stopped(self, world: World) -> World:
        start_released(world, 1)
        world.follow_seconds = 1.0
        world.publish("retrain-2")
        world.run("canary", "retrain-2")
        world.replicas[1].sleep()
        begin_promotion(world, "retrain-2")
        return world

    def test_its_run_may_still_be_at_work(self, stopped: World, mlflow: MlflowRegistry) -> None:
        before = stopped.history().seq
        found = reconcile(coming(stopped, mlflow=mlflow))
        found.require_complete()

        assert before == stopped.history().seq
        assert re.match(r"retrain-2 is promoting since .*\. Not followed: .*: the label answers v1", found.left[0])

    def test_later_it_is_taken_back_in_the_name_of_its_run(self, stopped: World, mlflow: MlflowRegistry) -> None:
        before = stopped.history().seq
        found = reconcile(coming(stopped, hours=HOURS, mlflow=mlflow))
        stopped.replicas[1].wake()

        assert f"Not confirmed by {stopped.replicas[1].address}: v2 AVAILABLE" in found.problems[0]
        assert [1, 1] == stopped.answering()
        assert [(Event.ROLLED_BACK, 1), (Event.WITHDRAWN, 2), (Event.CONFIRMED, 1)] == stopped.events(before)
        assert State(serving=1, next_version=3) == stopped.history().state
        assert (Repairs(), 0) == second_run(stopped, mlflow, hours=HOURS)
        assert "done" == stopped.run("withdraw", "retrain-2").outcome
        with pytest.raises(FailedError, match="v2 was withdrawn"):
            stopped.run("promote", "retrain-2")

    def test_taking_it_back_is_finished_where_that_was_cut_off(self, stopped: World, mlflow: MlflowRegistry) -> None:
        stopped.replicas[1].wake()
        stopped.follow_seconds = 5.0
        verdict = Verdict(decision=Decision.FAIL, reasons=("the label answers v1",))
        context = stopped.context("retrain-2")
        context.records.note_attempt("promote", verdict)
        context.journal.decide(
            lambda h: run_rules.undo_promotion(h, version=2, run_key="retrain-2", reason="promotion stopped")
        )
        before = stopped.history().seq
        reconcile(coming(stopped, mlflow=mlflow)).require_complete()

        assert [1, 1] == stopped.answering()
        assert [(Event.WITHDRAWN, 2), (Event.CONFIRMED, 1)] == stopped.events(before)
        assert verdict == stopped.history().all()[-2].verdict
        assert (Repairs(), 0) == second_run(stopped, mlflow)


def test_a_first_release_that_stopped_is_taken_back_to_nothing(world: World, mlflow: MlflowRegistry) -> None:
    world.follow_seconds = 1.0
    world.publish("retrain-1")
    world.run("canary", "retrain-1")
    world.replicas[1].stop()
    begin_promotion(world, "retrain-1")
    found = reconcile(coming(world, hours=HOURS, mlflow=mlflow))

    assert State(next_version=2) == world.history().state
    assert "v1 is withdrawn" in found.problems[0], "the replica that is away has not confirmed it"


class TestCandidate:
    """A run stopped while its version was being proven."""

    @pytest.fixture
    def exposed(self, world: World) -> World:
        """F8: the canary has failed, and nothing came after it."""
        start_released(world, 1)
        world.publish("retrain-2", shift=1)
        with pytest.raises(FailedError):
            world.run("canary", "retrain-2")
        return world

    def test_its_run_may_still_be_at_work(self, exposed: World, mlflow: MlflowRegistry) -> None:
        before = exposed.history().seq
        found = reconcile(coming(exposed, mlflow=mlflow))

        assert before == exposed.history().seq
        assert re.match(r"retrain-2 is testing v2, exposed at ", found.left[0])

    def test_later_it_is_withdrawn_with_the_verdict_of_its_canary(self, exposed: World, mlflow: MlflowRegistry) -> None:
        reconcile(coming(exposed, hours=HOURS, mlflow=mlflow)).require_complete()
        entry = exposed.history().withdrawal(2)

        assert entry is not None
        assert entry.verdict is not None
        assert "12 of 12 golden answers differ" in entry.verdict.reasons[0]
        assert re.match(r"fail: .*; retrain-2, which exposed it at 20.* UTC, has stopped", entry.reason)
        assert State(serving=1, next_version=3) == exposed.history().state
        assert (Repairs(), 0) == second_run(exposed, mlflow, hours=HOURS)

    def test_no_verdict_by_the_deadline_is_a_bad_one(self, world: World, mlflow: MlflowRegistry) -> None:
        """F52: nobody was left to ask the replicas."""
        start_released(world, 1)
        world.publish("retrain-2")
        world.context("retrain-2").journal.decide(lambda h: run_rules.expose(h, version=2, compared_with=1))
        reconcile(coming(world, hours=HOURS, mlflow=mlflow)).require_complete()
        entry = world.history().withdrawal(2)

        assert entry is not None
        assert entry.reason.startswith("no verdict; retrain-2, which exposed it at")

    def test_one_that_passed_waits_for_its_promotion_however_long(self, world: World, mlflow: MlflowRegistry) -> None:
        start_released(world, 1)
        world.publish("retrain-2")
        world.run("canary", "retrain-2")
        before = world.history().seq
        found = reconcile(coming(world, hours=HOURS, mlflow=mlflow))

        assert before == world.history().seq
        assert "retrain-2 has tested v2" in found.left[0]
        assert "done" == world.run("promote", "retrain-2").outcome

    def test_what_went_wrong_after_it_passed_counts(self, world: World, mlflow: MlflowRegistry) -> None:
        start_released(world, 1)
        world.follow_seconds = 1.0
        world.publish("retrain-2")
        world.run("canary", "retrain-2")
        restart_on_an_older_config(world, world.replicas[1], without=2)
        with pytest.raises(FailedError, match="not every replica has loaded v2"):
            world.run("promote", "retrain-2")
        reconcile(coming(world, hours=HOURS, mlflow=mlflow))

        assert (Event.WITHDRAWN, 2) == world.events()[-1]

    def test_a_late_promotion_of_it_finds_it_withdrawn(self, exposed: World, mlflow: MlflowRegistry) -> None:
        reconcile(coming(exposed, hours=HOURS, mlflow=mlflow))
        with pytest.raises(FailedError, match="v2 was withdrawn"):
            exposed.run("canary", "retrain-2")

        assert [1, 1] == exposed.answering()


def test_the_target_of_a_roll_back_that_never_moved_the_label_is_released(world: World, mlflow: MlflowRegistry) -> None:
    start_released(world, 3)
    begin_roll_back(world, 1, loaded=False)
    before = world.history().seq
    early = reconcile(coming(world, mlflow=mlflow))
    assert re.match(r"ann is rolling back to v1 since ", early.left[0])
    assert before == world.history().seq
    reconcile(coming(world, "reconcile-2", hours=HOURS, mlflow=mlflow)).require_complete()

    assert [(Event.RELEASED, 1)] == world.events(before)
    assert world.history().was_good(1)
    assert State(serving=3, previous=2, next_version=4) == world.history().state


def test_a_claim_without_its_entry_is_for_publish_to_finish(world: World, mlflow: MlflowRegistry) -> None:
    """F6: every file is there, and only the run itself says that they are what was approved."""
    start_released(world, 1)
    world.publish("retrain-2")
    seq = world.history().seq
    world.config.write_text(world.config.read_text().replace(f"entry {seq}", f"entry {seq - 1}"))
    (world.bucket / layout.entry(MODEL, seq)).unlink()
    (world.bucket / layout.record(MODEL, "retrain-2", "publish")).unlink()
    assert (Event.CLAIMED, 2) == world.events()[-1]
    reconcile(coming(world, hours=HOURS, mlflow=mlflow)).require_complete()
    assert (Event.CLAIMED, 2) == world.events()[-1]
    world.run("publish", "retrain-2")

    assert (Event.PUBLISHED, 2) == world.events()[-1]


def test_a_command_in_a_line_has_the_name_of_the_model(
    tmp_path: Path, mlflow: MlflowRegistry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path)
    monkeypatch.setenv("UNDERSTUDY_ROOT", str(world.bucket))
    world.start(count=0)
    make_serve(MODEL, run_key="rollback-1")
    monkeypatch.setattr(
        "pipeline.verbs.reconcile._release_target", _raise(DeclinedError("pinned. `x --model <model>`"))
    )
    monkeypatch.setattr("pipeline.verbs.reconcile._follow", _raise(FailedError("damaged. `y --model <model>`")))
    with caplog.at_level("INFO"):
        found = reconcile(coming(world, mlflow=mlflow))

    line = "another command changed this model meanwhile, so this step stopped: pinned. `x --model digits`"
    assert [line] == found.left == found.summary()["left"]
    assert found.left[0] in caplog.messages
    assert "damaged. `y --model digits`" in found.problems
    assert "<model>" not in caplog.text


def _raise(error: Exception) -> Callable[..., None]:
    def step(*_: object) -> None:
        raise error

    return step


def test_four_at_once_have_the_effect_of_one(world: World, mlflow: MlflowRegistry) -> None:
    """I6."""
    start_released(world, 2)
    begin_roll_back(world, 1, loaded=True)
    before = world.history().seq
    barrier = threading.Barrier(4)
    found: list[Repairs] = []

    def compete(number: int) -> None:
        barrier.wait()
        found.append(reconcile(coming(world, f"reconcile-{number}", hours=HOURS, mlflow=mlflow)))

    threads = [threading.Thread(target=compete, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [[]] * 4 == [each.problems for each in found]
    assert [(Event.WITHDRAWN, 2), (Event.CONFIRMED, 1)] == world.events(before)
    assert [1, 1] == world.answering()


def test_a_release_and_a_roll_back_beside_it_end_as_they_would_alone(world: World, mlflow: MlflowRegistry) -> None:
    stop = threading.Event()

    def mend() -> None:
        for number in range(10000):
            if stop.is_set():
                return
            reconcile(coming(world, f"reconcile-{number}", mlflow=mlflow))

    repairs = threading.Thread(target=mend)
    repairs.start()
    try:
        world.release("retrain-1")
        world.release("retrain-2")
        world.publish("retrain-3", shift=1)
        with pytest.raises(FailedError):
            world.run("canary", "retrain-3")
        world.run("withdraw", "retrain-3")
        world.roll_back("previous")
    finally:
        stop.set()
        repairs.join()

    assert [1, 1] == world.answering()
    assert State(serving=1, next_version=4) == world.history().state
    with pytest.raises(DeclinedError, match="promoted and confirmed"):
        world.run("withdraw", "retrain-2")


def test_without_mlflow_the_rest_is_mended_and_the_answer_is_that_it_could_not_tell(world: World) -> None:
    start_released(world, 2)
    begin_roll_back(world, 1, loaded=True)
    address = {"UNDERSTUDY_REPLICAS": ",".join(replica.address for replica in world.replicas)}
    done = pipeline(world.folder, "reconcile", **address)

    assert 75 == done.returncode
    assert ("reconcile", "could not tell") == (line(done)["verb"], line(done)["outcome"])
    assert re.match(
        r"MLflow was not updated: \S+: .*\. Check MLflow at http://\S+, then run `understudy reconcile --model digits`",
        str(line(done)["reason"]),
    )
    assert "v2 withdrawn: it is bad" in json.dumps(line(done)["repaired"])
    assert [1, 1] == world.answering()


def test_mlflow_is_made_to_agree(world: World, mlflow: MlflowRegistry) -> None:
    """F7: what was released while it was down appears."""
    start_released(world, 2)
    mlflow.down = True
    with pytest.raises(CouldNotTellError, match="MLflow was not updated"):
        reconcile(coming(world, mlflow=mlflow)).require_complete()
    mlflow.down = False
    found = reconcile(coming(world, mlflow=mlflow))
    found.require_complete()

    assert ["MLflow's aliases say previous v1, production v2 now"] == found.repaired


def test_a_candidate_of_a_canary_record_that_declined_is_not_proven(world: World, mlflow: MlflowRegistry) -> None:
    start_released(world, 1)
    world.publish("retrain-2")
    context = world.context("retrain-2")
    context.journal.decide(lambda h: run_rules.expose(h, version=2, compared_with=1))
    context.records.finish(CanaryRecord(outcome="declined", reason="late", version=2, verdict=None))
    reconcile(coming(world, hours=HOURS, mlflow=mlflow)).require_complete()

    assert (Event.WITHDRAWN, 2) == world.events()[-1]
