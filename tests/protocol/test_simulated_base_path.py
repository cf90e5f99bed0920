"""What a server does that is started on a base path, played on the simulated server and on the real one.

The default policy: of all versions below the base path, the highest. There is no config, and so no label.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serving.errors import NotServedError
from tests.protocol.sides import RealSide, Side, SimulatedSide

# Long enough to be looked at while it lasts.
SLOW = 1.0

MakeSide = Callable[..., Side]


@pytest.fixture(params=[SimulatedSide, RealSide])
def make_side(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeSide]:
    """A replica that is not started, over a base path that is not there."""
    made: list[Side] = []

    def make(*, default_flags: bool = False) -> Side:
        made.append(request.param(tmp_path, latest=True, default_flags=default_flags))
        return made[-1]

    yield make
    for side in made:
        side.stop()


@pytest.fixture
def side(make_side: MakeSide) -> Side:
    return make_side()


@pytest.fixture
def serving_two(side: Side) -> Side:
    """Versions 1 and 2 are on storage, and 2 is loaded."""
    return with_two(side)


@pytest.fixture
def by_default(make_side: MakeSide) -> Side:
    """The same, started with the flags a server has by default."""
    return with_two(make_side(default_flags=True))


def with_two(side: Side) -> Side:
    side.add(1)
    # Whoever comes back to it takes its time, so that what answers meanwhile can be seen.
    side.add(2, load_seconds=SLOW / 2)
    side.start()
    assert side.eventually(lambda: side.answers() and side.states() == [(2, "AVAILABLE")])
    return side


def comes_up(side: Side, version: int) -> bool:
    return side.eventually(lambda: side.answers() and side.answering() == version)


def failed(side: Side, version: int) -> bool:
    status = side.status(version)
    return status is not None and status.failed


# Its start.


def test_a_replica_waits_for_its_base_path_with_its_port_closed(side: Side) -> None:
    side.start()
    side.let_polls_pass()
    assert not side.answers()
    side.add(1)

    assert comes_up(side, 1)


def test_a_replica_waits_for_a_version_below_an_empty_base_path(side: Side) -> None:
    side.add(1)
    side.remove(1)
    side.start()
    side.let_polls_pass()
    assert not side.answers()
    side.add(2)

    assert comes_up(side, 2)


def test_a_replica_that_waits_can_be_stopped(side: Side) -> None:
    side.start()
    side.stop()
    side.add(1)
    side.let_polls_pass()

    assert not side.answers()


def test_only_the_highest_version_is_loaded_at_the_start(side: Side) -> None:
    for version in (9, 10, 1):
        side.add(version)
    side.start()

    assert comes_up(side, 10)
    assert [(10, "AVAILABLE")] == side.states()


def test_a_replica_does_not_come_up_on_a_broken_highest_version_though_older_ones_are_good(side: Side) -> None:
    """F51: it gives up and is started again, until the version is gone."""
    side.add(1)
    side.add_unfinished(2)
    side.start()
    side.let_polls_pass()
    assert not side.answers()
    side.remove(2)

    assert comes_up(side, 1)
    assert [(1, "AVAILABLE")] == side.states()


def test_a_restart_on_a_version_that_failed_while_it_ran_does_not_come_up(serving_two: Side) -> None:
    side = serving_two
    side.add_unfinished(3)
    assert side.eventually(lambda: failed(side, 3))
    assert 2 == side.answering()
    side.stop()
    side.start()
    side.let_polls_pass()
    assert not side.answers()
    side.remove(3)

    assert comes_up(side, 2)


def test_a_broken_highest_version_is_tried_again_before_a_replica_gives_up(make_side: MakeSide) -> None:
    side = make_side(default_flags=True)
    side.add(1)
    side.add_unfinished(2)
    side.start()
    side.let_polls_pass()
    assert not side.answers()
    side.finish(2)

    assert comes_up(side, 2)


def test_a_broken_highest_version_that_goes_while_it_is_tried_lets_the_next_come_up(make_side: MakeSide) -> None:
    """Whether in the process that began with it or in the next depends on which of the two is settled first."""
    side = make_side(default_flags=True)
    side.add(1)
    side.add_unfinished(2)
    side.start()
    side.let_polls_pass()
    side.remove(2)

    assert comes_up(side, 1)


# A version more.


def test_a_higher_version_takes_over(serving_two: Side) -> None:
    side = serving_two
    side.add(3, shift=1)

    assert side.eventually(lambda: side.states() == [(3, "AVAILABLE"), (2, "END")])
    assert 3 == side.answering()
    answer = side.predict(b"1")
    assert (3, [b"2"]) == (answer.version, answer.outputs["label"].tolist())
    assert side.behind("stable") is None
    with pytest.raises(NotServedError, match=r"Specific\(digits, 2\)"):
        side.predict(b"1", version=2)


def test_the_old_version_answers_until_the_new_one_is_loaded(serving_two: Side) -> None:
    side = serving_two
    side.add(3, load_seconds=SLOW)
    assert side.eventually(lambda: side.state(3) == "LOADING")

    assert 2 == side.answering()
    answers: list[int | None] = []

    def taken_over() -> bool:
        answers.append(side.answering())
        return answers[-1] == 3

    assert side.eventually(taken_over)
    assert {2, 3} == set(answers)


def test_a_lower_version_is_nobodys_business(serving_two: Side) -> None:
    side = serving_two
    side.remove(1)
    side.add(1)
    side.let_polls_pass()

    assert [(2, "AVAILABLE")] == side.states()


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_serving(serving_two: Side) -> None:
    side = serving_two
    side.break_version(3)
    side.add(3)
    assert side.eventually(lambda: failed(side, 3))
    side.let_polls_pass()
    status = side.status(3)

    assert status is not None
    assert ("END", "out of memory") == (status.state, status.error)
    assert [(3, "END"), (2, "AVAILABLE")] == side.states()
    assert 2 == side.answering()


def test_a_folder_that_is_completed_after_it_failed_stays_failed(serving_two: Side) -> None:
    """A number is tried once; the same model under a higher one is loaded."""
    side = serving_two
    side.add_unfinished(3)
    assert side.eventually(lambda: failed(side, 3))
    side.finish(3)
    side.let_polls_pass()
    assert failed(side, 3)
    side.add(4)

    assert side.eventually(lambda: side.states() == [(4, "AVAILABLE"), (3, "END"), (2, "END")])
    assert failed(side, 3)


# A version less: tf-serving.md has the three cases.


def test_when_a_failed_version_goes_the_old_one_serves_on(serving_two: Side) -> None:
    """Case a. What is left is wanted back, which is on its way out: that is held for ever, and so is what follows."""
    side = serving_two
    side.break_version(3)
    side.add(3)
    assert side.eventually(lambda: failed(side, 3))
    side.remove(3)
    side.let_polls_pass()
    assert 2 == side.answering()
    assert failed(side, 3)
    side.break_version(None)
    side.add(3)
    side.let_polls_pass()
    assert failed(side, 3), "the same number is not tried again"
    assert 2 == side.answering()
    side.add(4)

    assert side.eventually(lambda: side.states() == [(4, "AVAILABLE"), (3, "END"), (2, "END")])


def test_a_version_that_goes_while_it_is_loaded_serves_until_the_old_one_is_loaded_again(serving_two: Side) -> None:
    """Case b."""
    side = serving_two
    side.add(3, load_seconds=SLOW)
    assert side.eventually(lambda: side.state(3) == "LOADING")
    side.remove(3)
    side.let_polls_pass()
    assert 2 == side.answering()

    assert side.eventually(lambda: side.answering() == 3)
    assert side.eventually(lambda: side.state(2) == "LOADING" and side.answering() == 3)
    assert side.eventually(lambda: side.states() == [(3, "END"), (2, "AVAILABLE")])
    assert not failed(side, 3)


def test_a_version_that_goes_while_its_files_are_read_fails(serving_two: Side) -> None:
    """Then it is as in case a."""
    side = serving_two
    side.add(3, read_seconds=SLOW)
    assert side.eventually(lambda: side.state(3) == "LOADING")
    side.remove(3)

    assert side.eventually(lambda: failed(side, 3))
    assert 2 == side.answering()
    side.add(4)
    assert side.eventually(lambda: side.answering() == 4)


def test_when_the_version_that_serves_goes_the_one_below_is_loaded_again_without_a_gap(serving_two: Side) -> None:
    """Case c."""
    side = serving_two
    side.add(3)
    assert side.eventually(lambda: side.states() == [(3, "AVAILABLE"), (2, "END")])
    side.remove(3)
    answers: list[int | None] = []

    def is_back() -> bool:
        answers.append(side.answering())
        return answers[-1] == 2

    assert side.eventually(is_back)
    assert {2, 3} == set(answers)
    assert side.eventually(lambda: side.states() == [(3, "END"), (2, "AVAILABLE")])


def test_where_the_one_below_is_gone_from_storage_the_next_below_that_serves(serving_two: Side) -> None:
    side = serving_two
    side.add(3)
    assert side.eventually(lambda: side.states() == [(3, "AVAILABLE"), (2, "END")])
    side.remove(2, 3)

    assert side.eventually(lambda: side.states() == [(3, "END"), (2, "END"), (1, "AVAILABLE")])


def test_where_the_one_below_cannot_be_loaded_what_was_taken_away_serves_on(serving_two: Side) -> None:
    side = serving_two
    side.add(3)
    assert side.eventually(lambda: side.states() == [(3, "AVAILABLE"), (2, "END")])
    side.break_version(2)
    side.remove(3)
    assert side.eventually(lambda: failed(side, 2))
    side.let_polls_pass()

    assert 3 == side.answering()
    side.add(4)
    assert side.eventually(lambda: side.states() == [(4, "AVAILABLE"), (3, "END"), (2, "END")])


def test_a_version_that_comes_back_is_loaded_again_if_it_had_served(serving_two: Side) -> None:
    side = serving_two
    side.add(3)
    assert side.eventually(lambda: side.states() == [(3, "AVAILABLE"), (2, "END")])
    side.remove(3)
    assert side.eventually(lambda: side.states() == [(3, "END"), (2, "AVAILABLE")])
    side.add(3)

    assert side.eventually(lambda: side.states() == [(3, "AVAILABLE"), (2, "END")])


def test_an_empty_base_path_unloads_everything(serving_two: Side) -> None:
    side = serving_two
    side.remove(1, 2)

    assert side.eventually(lambda: side.states() == [(2, "END")])
    assert side.answering() is None
    with pytest.raises(NotServedError, match=r"Latest\(digits\)"):
        side.predict(b"1")
    side.add(3)
    assert side.eventually(lambda: side.answering() == 3)


def test_a_base_path_that_is_lost_changes_nothing(serving_two: Side) -> None:
    side = serving_two
    side.lose_base_path()
    side.let_polls_pass()
    assert [(2, "AVAILABLE")] == side.states()
    assert 2 == side.answering()
    side.add(3)

    assert side.eventually(lambda: side.states() == [(3, "AVAILABLE"), (2, "END")])


# Default flags.


def test_by_default_a_broken_version_keeps_every_other_from_being_loaded_while_it_is_tried(by_default: Side) -> None:
    """All that can be seen of it is that it is loading. Who serves goes on serving."""
    side = by_default
    side.add_unfinished(3)
    assert side.eventually(lambda: side.state(3) == "LOADING")
    side.add(4)
    side.let_polls_pass()
    status = side.status(3)
    assert status is not None
    assert ("LOADING", "") == (status.state, status.error)
    assert side.status(4) is None
    assert 2 == side.answering()

    assert side.eventually(lambda: side.states() == [(4, "AVAILABLE"), (3, "END"), (2, "END")])
    assert failed(side, 3)


def test_by_default_a_broken_version_is_tried_to_the_end_though_it_has_gone(by_default: Side) -> None:
    side = by_default
    side.add_unfinished(3)
    assert side.eventually(lambda: side.state(3) == "LOADING")
    side.remove(3)
    side.let_polls_pass()
    assert "LOADING" == side.state(3)

    assert side.eventually(lambda: failed(side, 3))
    side.let_polls_pass()
    assert [(3, "END"), (2, "AVAILABLE")] == side.states()


def test_by_default_a_version_that_is_completed_while_it_is_tried_is_loaded(by_default: Side) -> None:
    side = by_default
    side.add_unfinished(3)
    assert side.eventually(lambda: side.state(3) == "LOADING")
    side.finish(3)

    assert side.eventually(lambda: side.states() == [(3, "AVAILABLE"), (2, "END")])


def test_by_default_a_slow_load_keeps_the_next_from_being_seen(by_default: Side) -> None:
    side = by_default
    side.add(3, load_seconds=SLOW)
    assert side.eventually(lambda: side.state(3) == "LOADING")
    side.add(4)
    side.let_polls_pass()
    assert side.status(4) is None

    assert side.eventually(lambda: side.states() == [(4, "AVAILABLE"), (3, "END"), (2, "END")])


def test_a_replica_that_tries_a_broken_version_can_be_stopped(by_default: Side) -> None:
    side = by_default
    side.add_unfinished(3)
    assert side.eventually(lambda: side.state(3) == "LOADING")
    side.stop()
    side.remove(3)
    side.start()

    assert comes_up(side, 2)
    assert [(2, "AVAILABLE")] == side.states()


# Asleep.


def test_a_replica_that_sleeps_does_not_see_what_comes(serving_two: Side) -> None:
    side = serving_two
    side.sleep()
    side.add(3)
    side.let_polls_pass()
    assert [(2, "AVAILABLE")] == side.states()
    side.wake()

    assert side.eventually(lambda: side.answering() == 3)


def test_a_replica_that_sleeps_does_not_see_what_goes(serving_two: Side) -> None:
    side = serving_two
    side.add(3)
    assert side.eventually(lambda: side.states() == [(3, "AVAILABLE"), (2, "END")])
    side.sleep()
    side.remove(3)
    side.let_polls_pass()
    assert 3 == side.answering()
    side.wake()

    assert side.eventually(lambda: side.states() == [(3, "END"), (2, "AVAILABLE")])


def test_what_a_sleeping_replica_has_seen_it_can_load(serving_two: Side) -> None:
    side = serving_two
    side.add(3)
    side.sleep()
    side.remove(2, 3)
    side.stop()
    side.start()

    assert comes_up(side, 3)
    side.wake()
    assert side.eventually(lambda: side.answering() == 1)


def test_a_replica_that_sleeps_through_the_loss_of_everything_serves_on(serving_two: Side) -> None:
    side = serving_two
    side.sleep()
    side.remove(1, 2)
    side.let_polls_pass()

    assert [(2, "AVAILABLE")] == side.states()


# A config handed to it.


def test_a_config_that_is_handed_in_holds_until_the_end_of_the_process(serving_two: Side) -> None:
    """There is no file whose next poll would replace it."""
    side = serving_two
    side.reload([1, 2])
    side.add(3)
    assert side.eventually(lambda: side.states() == [(2, "AVAILABLE"), (1, "AVAILABLE")])
    side.let_polls_pass()
    assert side.status(3) is None
    side.stop()
    side.start()

    assert comes_up(side, 3)
