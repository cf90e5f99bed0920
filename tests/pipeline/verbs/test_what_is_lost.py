"""A bucket that has lost or spoilt something, and clocks that do not agree: what is refused, and what goes on."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from pipeline import layout
from pipeline.clock import SystemClock
from pipeline.errors import CouldNotTellError, DamagedError, FailedError, StorageError
from pipeline.journal.entries import Event
from pipeline.journal.journal import JournalWriter
from pipeline.rules import run as run_rules
from pipeline.rules.rollback import RollbackRequest, next_step
from pipeline.storage.local import LocalBucket
from pipeline.verbs.freeze import freeze
from pipeline.verbs.pin import pin
from pipeline.verbs.readmit import readmit
from pipeline.verbs.rollback import request_for, rollback
from pipeline.verbs.unfreeze import unfreeze
from tests.pipeline.journal.test_journal import PASS
from tests.released import start_released
from tests.releases import MODEL, World


def test_a_journal_that_has_lost_its_end_moves_nothing(world: World) -> None:
    """The config is never newer than the journal, unless entries are lost; then nobody acts on what is left."""
    start_released(world, 2)
    seq = world.history().seq
    lost = world.bucket / layout.entry(MODEL, seq)
    content = lost.read_bytes()
    lost.unlink()
    before = world.config.read_text()
    for first in (False, True):
        with pytest.raises(
            StorageError, match=f"was written from journal entry {seq}, but the journal ends at {seq - 1}"
        ):
            world.context("init-0").rollout.settle(first=first)
    assert before == world.config.read_text()
    lost.write_bytes(content)

    assert seq == world.context("init-0").rollout.settle().seq


def test_no_word_of_a_person_takes_the_number_of_a_lost_entry(world: World) -> None:
    """Else it could not be restored any more, and after some words nobody would notice the loss."""
    start_released(world, 2)
    seq = world.history().seq
    (world.bucket / layout.entry(MODEL, seq)).unlink()
    context = world.context("freeze-1")
    words: list[Callable[[], object]] = [
        lambda: freeze(context, until="3d", reason="Christmas"),
        lambda: unfreeze(context, reason="it is over"),
        lambda: readmit(context, version=1, reason="the probes were wrong"),
        lambda: pin(world.context("rollback-1"), request_for(context, to="2", reason="an incident", asked_at=None)),
    ]
    for word in words:
        with pytest.raises(
            StorageError, match=f"was written from journal entry {seq}, but the journal ends at {seq - 1}"
        ):
            word()

    assert seq - 1 == world.history().seq


def test_a_bucket_that_is_not_there_is_not_an_empty_one(world: World) -> None:
    """A volume that is not mounted."""
    start_released(world, 1)
    world.bucket.rename(world.folder / "away")

    with pytest.raises(StorageError, match=r"no bucket at .*\. Mount it, correct UNDERSTUDY_ROOT"):
        world.history()


def test_a_garbage_record_is_named_and_stops_no_roll_back_to_a_good_version(world: World) -> None:
    """What is read for a forecast only is not worth an outage."""
    start_released(world, 3)
    (world.bucket / layout.record(MODEL, "retrain-1", "canary")).write_text("{")
    with pytest.raises(DamagedError, match=r"runs/digits/retrain-1/canary\.json is not a record of canary"):
        world.run("canary", "retrain-1")

    assert 1 == world.roll_back("1").version


def test_an_entry_under_another_number_stops_everything(world: World) -> None:
    start_released(world, 1)
    entry = world.bucket / layout.entry(MODEL, 5)
    entry.write_bytes((world.bucket / layout.entry(MODEL, 4)).read_bytes())

    with pytest.raises(StorageError, match=r"00000005\.json holds entry 4"):
        world.history()


def test_undoing_an_unfinished_roll_back_takes_the_label_back_at_once(world: World) -> None:
    """What leaves is still in memory; it is neither withdrawn nor loaded again."""
    start_released(world, 2)
    request = RollbackRequest("rollback-5", "1", "and then it was killed", world.history().seq)
    world.context("rollback-5").journal.decide(lambda h: next_step(h, request=request, target=1, loaded=True))
    before = world.history().seq
    world.roll_back("2")

    assert [2, 2] == world.answering()
    assert (Event.ROLLED_BACK, 2) == world.events(before)[0]
    assert world.history().was_good(1)


def test_without_the_bucket_no_unproven_version_gets_traffic(world: World) -> None:
    """A candidate is in memory too, and only the journal knows what it is."""
    start_released(world, 1)
    world.publish("retrain-2", shift=1)
    with pytest.raises(FailedError):
        world.run("canary", "retrain-2")
    with pytest.raises(
        CouldNotTellError, match="not changed, because it answers v1, and v2 is newer and perhaps unproven"
    ):
        world.context("rollback-1").strategy.move_without_bucket("2")

    assert [1, 1] == world.answering()


def test_a_clock_that_is_behind_the_journal_does_not_decline_a_roll_back(world: World) -> None:
    """F48: an entry written by a node whose clock was ahead."""

    class Ahead(SystemClock):
        def now(self) -> datetime:
            return super().now() + timedelta(minutes=10)

    world.release("retrain-1")
    world.release("retrain-2")
    ahead = JournalWriter(LocalBucket(world.bucket), MODEL, run_key="retrain-3", actor="ann", clock=Ahead())
    ahead.decide(lambda h: run_rules.claim(h, run_key="retrain-3", compared_with=2, reason="", verdict=PASS))
    context = world.context("rollback-1")
    request = request_for(context, to="previous", reason="bad", asked_at=datetime.now(UTC) - timedelta(minutes=5))

    assert world.history().seq == request.seen
    assert 1 == rollback(context, request).version
