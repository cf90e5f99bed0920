"""Observers see each history once, after a verb has ended, and never keep a withdrawal waiting."""

from collections.abc import Collection

import pytest

from pipeline.context import observed
from pipeline.errors import FailedError
from pipeline.journal.entries import Event
from pipeline.journal.history import History
from pipeline.journal.observers import Observers
from pipeline.run_verbs import RUN_VERBS, run_once
from tests.half_way import coming, registry
from tests.mlflow_registry import MlflowRegistry
from tests.releases import World


class Seen:
    """What an observer was called with: the last entry, and the events since the call before."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, set[Event]]] = []

    def __call__(self, history: History, events: Collection[Event] | None) -> str | None:
        self.calls.append((history.seq, set(events or ())))
        return None


EMPTY = History(())


@pytest.fixture
def mlflow() -> MlflowRegistry:
    return registry()


def test_nothing_to_see_is_no_call() -> None:
    seen = Seen()
    observers = Observers((seen,))

    assert [] == observers.notify(EMPTY)
    assert [] == seen.calls


def test_replicas_that_followed_what_was_seen_are_no_news() -> None:
    seen = Seen()
    observers = Observers((seen,))
    observers.schedule(Event.EXPOSED)
    observers.notify(EMPTY)
    observers.schedule()
    observers.notify(EMPTY)
    observers.schedule(Event.PROMOTED)
    observers.notify(EMPTY)

    assert [(0, {Event.EXPOSED}), (0, {Event.PROMOTED})] == seen.calls


def test_what_an_observer_could_not_do_is_said() -> None:
    observers = Observers((lambda _history, _events: "no answer", Seen()))
    observers.schedule()

    assert ["no answer"] == observers.notify(EMPTY)


def test_a_promotion_that_fails_is_shown_to_mlflow_only_after_it_was_taken_back(
    world: World, mlflow: MlflowRegistry
) -> None:
    """Before that `withdraw` would wait for MLflow, with users on the bad version."""
    world.release("retrain-1")
    world.publish("retrain-2")
    world.run("canary", "retrain-2")
    world.follow_seconds = 0.5
    world.replicas[1].sleep()
    asked = len(mlflow.calls)
    context = coming(world, "retrain-2", mlflow=mlflow)
    (promote,) = (verb for verb in RUN_VERBS if verb.name == "promote")
    with pytest.raises(FailedError), observed(context):
        run_once(promote, context)

    assert asked == len(mlflow.calls)
    assert Event.PROMOTED is world.history().all()[-1].event


def test_a_freeze_asks_mlflow_nothing(world: World, mlflow: MlflowRegistry) -> None:
    """It changes nothing there, and a person on call must not wait for it."""
    world.release("retrain-1")
    asked = len(mlflow.calls)
    context = coming(world, "freeze-1", mlflow=mlflow)
    context.observers.schedule(Event.FROZEN)
    context.observers.notify(world.history())

    assert asked == len(mlflow.calls)


def test_a_repeated_verb_makes_up_for_one_that_died_before_it_called_them(world: World, mlflow: MlflowRegistry) -> None:
    world.release("retrain-1")
    asked = len(mlflow.calls)
    context = coming(world, "retrain-1", mlflow=mlflow)
    (promote,) = (verb for verb in RUN_VERBS if verb.name == "promote")
    with observed(context):
        run_once(promote, context)

    assert asked < len(mlflow.calls)
