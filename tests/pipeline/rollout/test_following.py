"""Replicas, configs and clients that are late, asleep or overtaken, and how they come to agree again."""

from dataclasses import replace

import pytest

from pipeline import layout
from pipeline.context import make_run_context, open_ports
from pipeline.errors import BadInputError, FailedError
from pipeline.rollout.rollout import Rollout
from pipeline.rules.rollback import RollbackRequest, next_step
from pipeline.storage.local import LocalBucket
from pipeline.verbs.rollback import rollback
from serving.client import Client
from serving.errors import NotServedError
from serving.fleet.fleet import parse_fleet
from serving.signature import inputs_of
from tests.released import start_released
from tests.releases import IMAGES, MODEL, World, restart_on_an_older_config


def test_no_traffic_moves_while_a_replica_has_lost_the_candidate(world: World) -> None:
    """A replica that restarted since the canary is found before the label moves anywhere."""
    start_released(world, 1)
    world.follow_seconds = 1.0
    world.publish("retrain-2")
    world.run("canary", "retrain-2")
    restart_on_an_older_config(world, world.replicas[1], without=2)
    with pytest.raises(FailedError, match="not every replica has loaded v2"):
        world.run("promote", "retrain-2")

    assert [1, 1] == world.answering()
    assert 1 == world.history().state.serving


def test_a_slow_writer_of_the_config_does_not_undo_a_newer_one(world: World) -> None:
    """Two settle at once; the one that has read the older history replaces nothing it has not read."""
    start_released(world, 2)

    class Overtaken(LocalBucket):
        """A bucket whose first write is overtaken by a whole roll-back."""

        replaced: list[bool] = []  # noqa: RUF012 - one bucket, one list

        def replace(self, key: str, content: bytes, *, instead_of: bytes | None) -> bool:
            if not self.replaced:
                world.roll_back("previous")
            self.replaced.append(super().replace(key, content, instead_of=instead_of))
            return self.replaced[-1]

    slow = make_run_context(world.context("x-1").settings, model=MODEL, run_key="x-1")
    world.config.write_text("# journal entry 0\nmodel_config_list {}\n")
    rollout = Rollout(
        model=MODEL,
        placement=slow.rollout.placement,
        bucket=Overtaken(world.bucket),
        journal=slow.journal,
    )
    rollout.settle()

    assert [False] == Overtaken.replaced
    assert f"# journal entry {world.history().seq}\n" in world.config.read_text()
    assert "value: 1" in world.config.read_text()


def test_a_roll_back_during_a_read_is_not_reported_as_lost_entries(world: World) -> None:
    """The config is read before the journal: then it can only be older."""
    start_released(world, 2)

    class Busy(LocalBucket):
        """A bucket in which a whole roll-back happens right before the config is read for the first time."""

        rolled_back = False

        def read(self, key: str) -> bytes:
            if key == layout.config(MODEL) and not self.rolled_back:
                self.rolled_back = True
                world.roll_back("previous")
            return super().read(key)

    settings = world.context("x-1").settings
    ports = replace(open_ports(settings), bucket=Busy(world.bucket))
    history = make_run_context(settings, model=MODEL, run_key="x-1", ports=ports).rollout.settle()

    assert world.history().seq == history.seq
    assert 1 == history.state.serving


def test_a_mistyped_name_leaves_no_trace(world: World) -> None:
    request = RollbackRequest("rollback-1", "previous", "bad", world.history().seq)
    settings = world.context("rollback-1").settings
    with pytest.raises(BadInputError, match=r"the model 'digit' does not exist: .* Known models: none"):
        rollback(make_run_context(settings, model="digit", run_key="rollback-1"), request)
    with pytest.raises(BadInputError, match="is not a model name"):
        make_run_context(settings, model="../../x", run_key="rollback-1")

    assert ["digits"] == sorted({path.stem.partition("-")[0] for path in (world.bucket / "serve").iterdir()})


def test_a_crash_between_entry_and_effect_is_healed_by_the_next_verb(world: World) -> None:
    start_released(world, 2)
    request = RollbackRequest("rollback-5", "1", "and then the power went", world.history().seq)
    world.context("rollback-5").journal.decide(lambda h: next_step(h, request=request, target=1, loaded=True))
    assert "value: 2" in world.config.read_text()

    world.context("anything-1").rollout.settle()

    assert "value: 1" in world.config.read_text()


def test_a_client_is_sent_on_when_a_replica_does_not_serve_yet(world: World) -> None:
    start_released(world, 1)
    world.replicas[0].stop()
    with Client(parse_fleet(",".join(replica.address for replica in world.replicas))) as client:
        answers = [client.predict(MODEL, inputs_of(IMAGES[:1])).version for _ in range(4)]
        with pytest.raises(NotServedError):
            client.predict("cats", inputs_of(IMAGES[:1]))

    assert [1, 1, 1, 1] == answers


def test_a_repeated_verb_answers_with_its_record(world: World) -> None:
    start_released(world, 1)
    before = world.history().seq
    again = [world.run(verb, "retrain-1") for verb in ("publish", "canary", "promote")]

    assert before == world.history().seq
    assert [1, 1, 1] == [record.summary()["version"] for record in again]
