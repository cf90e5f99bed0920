"""The tries of one load, and what cancelling it means."""

from collections.abc import Callable

import pytest

from serving.model_server.lifecycle.loader_harness import LoaderHarness
from serving.model_server.lifecycle.servable import ServableId
from serving.status import CancelledError, NotFoundError, StatusError
from tests.serving.model_server.world import Times


class Loader:
    """Fails a number of times before it succeeds; `during` is done within every try."""

    def __init__(self, *, failures: int, during: Callable[[], None] = lambda: None) -> None:
        self.model = Times(1)
        self.tries = 0
        self._failures = failures
        self._during = during

    def __call__(self, servable_id: ServableId, path: str) -> Times:
        self.tries += 1
        self._during()
        if self.tries <= self._failures:
            raise NotFoundError(f"try {self.tries}")
        return self.model


@pytest.fixture
def harness() -> LoaderHarness:
    return LoaderHarness(ServableId("m", 1), "/m/1")


def load(
    harness: LoaderHarness, loader: Loader, *, retries: int, sleep: Callable[[float], object] = lambda _: None
) -> None:
    harness.load(loader, retries=retries, interval_seconds=60, sleep=sleep)


def test_it_finally_succeeds(harness: LoaderHarness) -> None:
    loader = Loader(failures=2)
    load(harness, loader, retries=2)

    assert loader.tries == 3
    harness.enter()
    with harness.use() as model:
        assert model is loader.model


def test_it_finally_fails_with_the_error_of_the_last_try(harness: LoaderHarness) -> None:
    loader = Loader(failures=9)
    with pytest.raises(NotFoundError, match="try 3"):
        load(harness, loader, retries=2)

    assert loader.tries == 3


@pytest.mark.parametrize("retries", [0, -1])
def test_without_retries_there_is_one_try(harness: LoaderHarness, retries: int) -> None:
    loader = Loader(failures=9)
    with pytest.raises(NotFoundError, match="try 1"):
        load(harness, loader, retries=retries)

    assert loader.tries == 1


def test_it_sleeps_between_tries_and_only_there(harness: LoaderHarness) -> None:
    slept: list[float] = []
    with pytest.raises(NotFoundError):
        load(harness, Loader(failures=9), retries=2, sleep=slept.append)

    assert slept == [60, 60]


def test_a_cancel_during_a_try_that_fails_makes_it_the_last(harness: LoaderHarness) -> None:
    loader = Loader(failures=9, during=harness.cancel)
    with pytest.raises(NotFoundError, match="try 1"):
        load(harness, loader, retries=5)

    assert loader.tries == 1


def test_a_cancel_during_the_sleep_takes_effect_after_one_more_try(harness: LoaderHarness) -> None:
    loader = Loader(failures=9)
    with pytest.raises(NotFoundError, match="try 2"):
        load(harness, loader, retries=5, sleep=lambda _: harness.cancel())

    assert loader.tries == 2


def test_a_load_that_succeeds_although_cancelled_is_thrown_away(harness: LoaderHarness) -> None:
    loader = Loader(failures=1)
    with pytest.raises(CancelledError, match="Loading of servable cancelled"):
        load(harness, loader, retries=5, sleep=lambda _: harness.cancel())

    assert (loader.tries, loader.model.closed) == (2, True)


def test_what_is_no_status_is_unknown(harness: LoaderHarness) -> None:
    def explode() -> None:
        raise MemoryError("too big")

    with pytest.raises(StatusError) as failure:
        load(harness, Loader(failures=0, during=explode), retries=0)

    assert str(failure.value) == "UNKNOWN: MemoryError: too big"


def test_unloading_twice_closes_once(harness: LoaderHarness) -> None:
    closed: list[int] = []
    loader = Loader(failures=0)
    load(harness, loader, retries=0)
    loader.model.close = lambda: closed.append(1)  # type: ignore[method-assign]
    harness.unload()
    harness.unload()

    assert closed == [1]
