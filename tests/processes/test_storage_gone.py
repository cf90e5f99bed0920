"""The disk is full, or the bucket does not answer: what a person is told, and that the same command succeeds later."""

import pytest

from pipeline import layout
from pipeline.errors import ExitCode
from pipeline.journal.entries import Event
from pipeline.runs.records import NAMES, TrainRecord
from pipeline.storage.sums import folder_digest, sums_of
from tests.processes.acting import Actor, act, rollback_to
from tests.processes.invariants import Invariants, moves
from tests.processes.starts import RUN
from tests.processes.stopping import HOLD
from tests.released import start_released
from tests.releases import MODEL, World

WEIGHTS = 1 << 20
PUBLISH = ("publish", "--run", RUN)


@pytest.fixture
def invariants(world: World) -> Invariants:
    """Of a world in which v1 and v2 have been released, and v2 serves."""
    world.follow_seconds = 60.0
    start_released(world, 2)
    return Invariants(world)


@pytest.mark.parametrize(
    ("room", "refused", "written"),
    [
        (64, "journal entry 11 (v3 claimed)", []),
        (WEIGHTS // 2, "copy to serve/digits/3", [(Event.CLAIMED, 3)]),
    ],
)
def test_a_publication_that_finds_the_disk_full(
    room: int, refused: str, written: list[tuple[Event, int]], world: World, invariants: Invariants
) -> None:
    """F50: it fails before anything is visible, says so, and succeeds when there is room."""
    _approve_a_large_one(world)
    before = world.history().seq

    with Actor(world, *PUBLISH, largest_file=room) as actor:
        failed = actor.end()

    assert ExitCode.FAILED == failed.code
    assert refused in failed.reason
    assert "File too large" in failed.reason
    assert written == world.events(before)
    assert ["1", "2"] == _published(world)
    assert [] == [path for path in (world.bucket / ".tmp").iterdir() if path.suffix != ".lock"]
    invariants.hold_at_rest()

    done = act(world, *PUBLISH)
    assert (ExitCode.DONE, 3) == (done.code, done.line["version"])
    assert [(Event.CLAIMED, 3), (Event.PUBLISHED, 3)] == world.events(before)
    invariants.hold_at_rest()


def test_a_bucket_that_is_lost_during_a_roll_back(world: World, invariants: Invariants) -> None:
    """F37: the error says what was written, what was not, what each replica answers, and the way out; which works."""
    before, verb = world.history().seq, rollback_to("previous")
    away = world.bucket.with_name("away")

    with Actor(world, *verb, stop=f"{HOLD}:2") as actor:
        actor.wait_until("held")
        world.bucket.rename(away)
        world.bucket.write_text("a file, where there should be a folder")
        actor.remove_leaving()
        failed = actor.end()
    answering = world.answering()
    world.bucket.unlink()
    away.rename(world.bucket)

    assert (ExitCode.FAILED, [2, 2]) == (failed.code, answering)
    assert f"journal entry {before + 1} is written, but writing the config may have failed" in failed.reason
    entries = f"entry {before + 1} (v1 rolled back)"
    assert f"The bucket contains these entries of this roll-back, as far as is known: {entries}" in failed.reason
    answers = ", ".join(f"{replica.address}: v2" for replica in world.replicas)
    assert f"Each replica answers now: {answers}. When the bucket works again" in failed.reason
    assert f"run the same command with --run {verb[-1]}" in failed.reason
    assert [(Event.ROLLED_BACK, 1)] == world.events(before)
    invariants.hold()
    assert ExitCode.DONE == act(world, *verb).code
    assert [(Event.ROLLED_BACK, 1), (Event.WITHDRAWN, 2)] == moves(world, before)
    invariants.hold_at_rest()


@pytest.mark.timeout(600)
def test_a_roll_back_while_google_does_not_answer(world: World, invariants: Invariants) -> None:
    """F37: nobody listens where the bucket should be; nothing was done, and the replicas are asked all the same."""
    before, verb = world.history().seq, rollback_to("previous")
    nobody = {"UNDERSTUDY_ROOT": "gs://understudy-nowhere", "STORAGE_EMULATOR_HOST": "http://127.0.0.1:9"}
    nobody["UNDERSTUDY_STORAGE_SECONDS"] = "2"

    with Actor(world, *verb, environment=nobody) as actor:
        failed = actor.end()

    assert (ExitCode.FAILED, []) == (failed.code, failed.effects)
    assert "The bucket contains these entries of this roll-back, as far as is known: none" in failed.reason
    answers = ", ".join(f"{replica.address}: v2" for replica in world.replicas)
    assert f"Each replica answers now: {answers}" in failed.reason
    assert [] == world.events(before)
    invariants.hold_at_rest()


def _approve_a_large_one(world: World) -> None:
    """A run whose model is a megabyte: larger than all the verb writes besides."""
    context = world.approve(RUN)
    trained = context.records.require(TrainRecord)
    exported = world.bucket / trained.model_key
    (exported / "weights").write_bytes(bytes(WEIGHTS))
    files = sums_of(exported)
    (world.bucket / layout.record(MODEL, RUN, NAMES[TrainRecord])).unlink()
    context.records.finish(trained.model_copy(update={"files": files, "model_digest": folder_digest(files)}))


def _published(world: World) -> list[str]:
    return sorted(path.name for path in (world.bucket / layout.versions(MODEL)).iterdir())
