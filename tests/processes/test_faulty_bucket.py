"""A release and a roll-back by real processes while the way to the bucket delays, resets, swallows and refuses."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from pipeline.journal.entries import Event
from pipeline.verbs.status import status
from tests.hunts import hunt, hunt_cases
from tests.object_storage import VARIABLE, Bucket, ObjectStore, bucket, store
from tests.pipeline.storage.fault_proxy import Answer, FaultProxy, lost_after, lost_before, refused
from tests.processes.acting import Words, act, rollback_to
from tests.releases import World

__all__ = ["bucket", "store"]

SEEDS = 3
RUN = "retrain-2"
ATTEMPTS = 6


@pytest.fixture
def world(bucket: Bucket, tmp_path: Path) -> Iterator[World]:
    """v1 serves; the servers reach the bucket as it is."""
    made = World(tmp_path, cloud=bucket.uri(), follow_seconds=20.0)
    made.start()
    made.release("retrain-1")
    made.approve(RUN)
    yield made
    made.stop()


@pytest.fixture
def bad_way(store: ObjectStore) -> Iterator[FaultProxy]:
    made = FaultProxy(store)
    made.start()
    yield made
    made.stop()


def weather(proxy: FaultProxy, seed: int) -> Callable[[Callable[[], Answer]], Answer | None]:
    """One request in ten meets something."""
    dice = random.Random(seed)  # noqa: S311 - a repeatable choice, not a secret

    def late(forward: Callable[[], Answer]) -> Answer:
        time.sleep(0.2)
        return forward()

    def meet(forward: Callable[[], Answer]) -> Answer | None:
        fault = dice.choice([late, lost_before, lost_after, refused(503), refused(429)])
        return fault(forward) if dice.random() < 0.1 else forward()

    return meet


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", hunt_cases(range(SEEDS), in_make_test=[0]))
def test_verbs_repeated_until_they_are_done_have_the_effect_of_one(
    world: World, bad_way: FaultProxy, seed: int
) -> None:
    """F33, F34, F35, I6: whatever is lost on the way, in either direction."""
    bad_way.inject(weather(bad_way, seed))
    surroundings = {VARIABLE: bad_way.endpoint, "UNDERSTUDY_STORAGE_SECONDS": "5"}

    def do(words: Words) -> None:
        codes: list[int] = []
        while not codes or codes[-1] != ExitCode.DONE:
            assert len(codes) < ATTEMPTS, codes
            codes.append(act(world, *words, environment=surroundings).code)

    for verb in ("publish", "canary", "promote"):
        do((verb, "--run", RUN))
    assert [2, 2] == world.answering()
    do(rollback_to("previous"))

    assert [1, 1] == world.answering()
    history = world.history()
    about_two = Counter(entry.event for entry in history.all() if entry.version == 2)
    assert about_two == dict.fromkeys(
        (Event.CLAIMED, Event.PUBLISHED, Event.EXPOSED, Event.PROMOTED, Event.CONFIRMED, Event.WITHDRAWN), 1
    )
    world.context("look-1").manifests.verify(2, history)
    assert [] == [told for told in status(world.context("look-1")).differences if "MLflow" not in told]


@hunt
def test_a_bucket_that_swallows_everything_is_given_up_and_named(world: World, bad_way: FaultProxy) -> None:
    """F37: no verb waits for ever, and what was not done is done by the next.

    The client waits 20 s for each answer. Of a bucket that refuses connections `make test` has its own case.
    """
    bad_way.inject(bad_way.swallowed)
    seen = world.history().seq
    surroundings = {VARIABLE: bad_way.endpoint, "UNDERSTUDY_STORAGE_SECONDS": "2"}
    ended = act(world, *rollback_to("previous"), environment=surroundings)

    assert ended.code == ExitCode.FAILED
    assert "The bucket contains these entries of this roll-back, as far as is known: none" in ended.reason
    assert seen == world.history().seq
    assert [1, 1] == world.answering()
