"""What the release protocol relies on, played on the simulated server and on the real one: both do the same."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

from pipeline import layout
from serving.errors import NotServedError, RefusedError, ServerFaultError, UnreachableError
from tests.protocol.sides import MODEL, RealSide, Side, SimulatedSide


@pytest.fixture(params=[SimulatedSide, RealSide])
def side(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Side]:
    """A replica that is not started, and a bucket with four good versions and no config."""
    made: Side = request.param(tmp_path)
    for version in (1, 2, 3, 4):
        made.add(version)
    yield made
    made.stop()


@pytest.fixture
def empty(side: Side) -> Side:
    """It runs, and its config is the empty list."""
    side.write([])
    side.start()
    assert side.eventually(side.answers)
    return side


@pytest.fixture
def serving_two(side: Side) -> Side:
    """{1, 2} are loaded and the label is on 2."""
    side.write([1, 2], 2)
    side.start()
    assert side.eventually(lambda: side.answers() and side.states() == [(2, "AVAILABLE"), (1, "AVAILABLE")])
    return side


def test_an_empty_list_opens_the_port_and_serves_nothing(empty: Side) -> None:
    assert [] == empty.states()
    assert empty.behind() is None
    with pytest.raises(NotServedError, match=r"Latest\(digits\)"):
        empty.predict(b"1")


def test_the_first_version_is_loaded_by_a_poll_and_labelled_by_the_next(empty: Side) -> None:
    side = empty
    side.write([1])
    assert side.eventually(lambda: side.state(1) == "AVAILABLE")
    assert side.behind() is None
    side.write([1], 1)

    assert side.eventually(lambda: side.behind() == 1)


def test_a_version_that_a_config_adds_is_loaded_beside_the_old(serving_two: Side) -> None:
    side = serving_two
    assert side.status(3) is None
    side.write([2, 3], 2)

    assert side.eventually(lambda: side.state(3) == "AVAILABLE")
    assert side.eventually(lambda: side.states() == [(3, "AVAILABLE"), (2, "AVAILABLE"), (1, "END")])
    assert 2 == side.behind()


def test_a_label_moves_between_loaded_versions_in_one_poll(serving_two: Side) -> None:
    side = serving_two
    side.write([1, 2], 1)

    assert side.eventually(lambda: side.behind() == 1)
    assert [(2, "AVAILABLE"), (1, "AVAILABLE")] == side.states()


def test_a_config_that_adds_a_version_and_moves_the_label_to_it_is_refused_at_every_poll(serving_two: Side) -> None:
    side = serving_two
    side.write([2, 3], 3)
    side.let_polls_pass()

    assert 2 == side.behind()
    assert [(2, "AVAILABLE"), (1, "AVAILABLE")] == side.states()


def test_healing_lets_a_stuck_replica_follow(serving_two: Side) -> None:
    side = serving_two
    side.write([2, 3], 3)
    side.let_polls_pass()
    told = side.heal(serving=3)

    assert told is not None
    assert "it answers from v2" in told
    assert side.eventually(lambda: side.behind() == 3)
    assert side.eventually(lambda: side.states() == [(3, "AVAILABLE"), (2, "AVAILABLE"), (1, "END")])


def test_a_replica_that_slept_through_the_expose_gets_stuck(serving_two: Side) -> None:
    side = serving_two
    side.sleep()
    side.write([2, 3], 2)
    side.let_polls_pass()
    assert side.status(3) is None
    side.write([2, 3], 3)
    side.wake()
    side.let_polls_pass()

    assert 2 == side.behind()
    assert side.status(3) is None


def test_a_requested_config_lasts_until_the_next_poll_of_the_unchanged_file(serving_two: Side) -> None:
    side = serving_two

    def follows_the_request() -> bool:
        side.reload([1, 2], 1)
        return side.behind() == 1

    assert side.eventually(follows_the_request), "a poll may come in between, but not always"
    assert side.eventually(lambda: side.behind() == 2)


def test_a_request_is_refused_in_the_servers_words(serving_two: Side) -> None:
    side = serving_two
    with pytest.raises(RefusedError, match="assign label to version 3 of model digits, which is not currently avail"):
        side.reload([2, 3], 3)
    assert 2 == side.behind()


def test_a_refused_request_is_forgotten(serving_two: Side) -> None:
    side = serving_two
    with pytest.raises(RefusedError):
        side.reload([2, 3], 3)
    side.let_polls_pass()

    assert [(2, "AVAILABLE"), (1, "AVAILABLE")] == side.states()


def test_a_requested_empty_list_takes_everything_away_until_the_file_is_polled(serving_two: Side) -> None:
    side = serving_two

    def follows_the_request() -> bool:
        side.reload([])
        return side.behind() is None

    assert side.eventually(follows_the_request), "a poll may come in between, but not always"
    assert side.eventually(lambda: side.behind() == 2 and side.state(1) == "AVAILABLE")


def test_a_request_for_a_new_model_returns_when_it_is_loaded(empty: Side) -> None:
    side = empty
    side.add(5, load_seconds=0.3)
    side.write([5])
    side.reload([5], 5)

    assert "AVAILABLE" == side.state(5)


def test_a_request_for_a_new_model_that_cannot_be_loaded_tells_why(empty: Side) -> None:
    side = empty
    side.break_version(1)
    with pytest.raises(ServerFaultError, match=r"\{name: digits version: 1\} due to error: .*out of memory"):
        side.reload([1], 1)


def test_a_request_for_a_new_model_that_is_not_there_is_not_answered_but_applied(empty: Side) -> None:
    side = empty
    with pytest.raises(UnreachableError, match="DEADLINE_EXCEEDED"):
        side.reload([5], 5)
    side.write([4], 4)
    side.let_polls_pass()
    assert [] == side.states(), "no other config has its turn"
    side.add(5)

    assert side.eventually(lambda: side.behind() == 4)
    assert side.eventually(lambda: side.state(5) == "END")


def test_a_version_missing_on_storage_is_skipped_until_it_is_there(serving_two: Side) -> None:
    side = serving_two
    side.write([2, 5], 2)
    assert side.eventually(lambda: side.state(1) == "END")
    assert side.status(5) is None
    side.add(5)

    assert side.eventually(lambda: side.state(5) == "AVAILABLE")


def test_a_version_that_goes_from_storage_is_unloaded_though_the_config_names_it(serving_two: Side) -> None:
    side = serving_two
    side.remove(2)

    assert side.eventually(lambda: side.states() == [(2, "END"), (1, "AVAILABLE")])
    assert side.behind() is None


def test_versions_that_all_go_from_storage_unload_everything(serving_two: Side) -> None:
    side = serving_two
    side.remove(1, 2)

    assert side.eventually(lambda: side.states() == [(2, "END"), (1, "END")])


def test_versions_that_are_all_missing_unload_everything(serving_two: Side) -> None:
    side = serving_two
    side.write([8, 9])

    assert side.eventually(lambda: side.states() == [(2, "END"), (1, "END")])
    with pytest.raises(NotServedError):
        side.predict(b"1")


def test_a_base_path_that_is_not_there_changes_nothing(serving_two: Side) -> None:
    side = serving_two
    config = text_format.MessageToString(side.config([1, 2], 2))
    side.write_text(config.replace("serve/digits", "serve/nothing"))
    side.let_polls_pass()

    assert [(2, "AVAILABLE"), (1, "AVAILABLE")] == side.states()
    assert 2 == side.behind()


def test_a_failed_load_ends_with_its_error_and_the_old_one_keeps_serving(serving_two: Side) -> None:
    side = serving_two
    side.break_version(3)
    side.write([2, 3], 2)
    assert side.eventually(lambda: side.states() == [(3, "END"), (2, "AVAILABLE"), (1, "END")])
    side.let_polls_pass()
    status = side.status(3)

    assert status is not None
    assert status.failed
    assert "out of memory" == status.error
    assert 2 == side.behind()


def test_a_failed_version_is_not_tried_again_while_it_is_wanted(serving_two: Side) -> None:
    side = serving_two
    side.break_version(3)
    side.write([2, 3], 2)
    assert side.eventually(lambda: side.state(3) == "END")
    side.break_version(None)
    side.write([1, 2, 3], 2)
    assert side.eventually(lambda: side.state(1) == "AVAILABLE")
    side.let_polls_pass()

    assert "END" == side.state(3)


def test_a_failed_version_is_tried_again_when_it_is_wanted_anew(serving_two: Side) -> None:
    side = serving_two
    side.break_version(3)
    side.write([2, 3], 2)
    assert side.eventually(lambda: side.state(3) == "END")
    side.break_version(None)
    side.write([1, 2], 2)
    assert side.eventually(lambda: side.state(1) == "AVAILABLE")
    side.write([2, 3], 2)

    assert side.eventually(lambda: side.state(3) == "AVAILABLE")
    assert side.status(3) is not None
    assert not side.status(3).failed  # type: ignore[union-attr]


def test_old_versions_stay_where_the_only_new_one_fails(serving_two: Side) -> None:
    """The label does not: it has no place in the new config. And what is wanted back is held until it has gone."""
    side = serving_two
    side.break_version(3)
    side.write([3])
    assert side.eventually(lambda: side.states() == [(3, "END"), (2, "AVAILABLE"), (1, "END")])
    side.let_polls_pass()

    assert side.behind() is None
    assert 2 == side.predict(b"1").version

    side.write([2, 4], 2)
    assert side.eventually(lambda: side.behind() == 2)
    side.let_polls_pass()

    assert side.status(4) is None, "{2, 4} waits for 2 to go, and 2 waits for something to replace it"


def test_a_load_that_is_not_wanted_any_more_is_thrown_away(serving_two: Side) -> None:
    side = serving_two
    side.add(5, load_seconds=2.0)
    side.write([2, 5], 2)
    assert side.eventually(lambda: side.state(5) == "LOADING")
    side.write([1, 2], 2)
    assert side.eventually(lambda: side.state(5) == "END")
    status = side.status(5)

    assert status is not None
    assert "Loading of servable cancelled" == status.error
    assert side.eventually(lambda: side.state(1) == "AVAILABLE")


def test_versions_are_loaded_one_after_the_other_once_started(serving_two: Side) -> None:
    """The highest first: the one that would take no time waits for the one that does."""
    side = serving_two
    side.add(5)
    side.add(6, load_seconds=0.5)
    side.write([2, 5, 6], 2)
    seen: list[list[tuple[int, str]]] = []

    def both_are_loaded() -> bool:
        seen.append(side.states()[:2])
        return seen[-1] == [(6, "AVAILABLE"), (5, "AVAILABLE")]

    assert side.eventually(both_are_loaded)
    assert not any((5, "AVAILABLE") in states and (6, "AVAILABLE") not in states for states in seen)


def test_an_empty_list_unloads_everything_and_what_has_ended_is_remembered(serving_two: Side) -> None:
    side = serving_two
    side.write([])

    assert side.eventually(lambda: side.states() == [(2, "END"), (1, "END")])
    assert side.status(2) is not None
    assert not side.status(2).failed  # type: ignore[union-attr]
    assert side.behind() is None


def test_a_model_that_comes_back_is_loaded_again_with_its_label(serving_two: Side) -> None:
    side = serving_two
    side.write([])
    assert side.eventually(lambda: side.states() == [(2, "END"), (1, "END")])
    side.write([1, 2], 1)

    assert side.eventually(lambda: side.behind() == 1)
    assert side.eventually(lambda: side.state(2) == "AVAILABLE")


def test_a_config_that_cannot_be_read_changes_nothing(serving_two: Side) -> None:
    side = serving_two
    for text in ("model_config_list {", "", "nothing: 1"):
        side.write_text(text)
        side.let_polls_pass()

        assert [(2, "AVAILABLE"), (1, "AVAILABLE")] == side.states()
        assert 2 == side.behind()
    side.write([1, 2], 1)
    assert side.eventually(lambda: side.behind() == 1)


def test_a_restart_forgets_what_has_ended_and_takes_labels_from_the_file(serving_two: Side) -> None:
    side = serving_two
    side.write([2, 3], 2)
    assert side.eventually(lambda: side.state(1) == "END" and side.state(3) == "AVAILABLE")
    side.stop()
    assert not side.answers()
    side.write([2, 3], 3)
    side.start()

    assert side.eventually(lambda: side.answers() and side.behind() == 3)
    assert side.eventually(lambda: side.states() == [(3, "AVAILABLE"), (2, "AVAILABLE")])


def test_a_replica_is_open_before_the_labelled_version_is_there(side: Side) -> None:
    """It opens on any version of its model; here the labelled one comes late."""
    side.write([4, 5], 5)
    side.start()
    assert side.eventually(side.answers)

    assert side.behind() is None
    assert 4 == side.predict(b"1").version
    side.add(5)
    assert side.eventually(lambda: side.behind() == 5)


def test_what_began_to_load_with_the_first_is_waited_for(side: Side) -> None:
    side.add(5, load_seconds=1.0)
    side.write([1, 5], 5)
    side.start()

    assert side.eventually(side.answers)
    assert 5 == side.behind(), "whoever loads for a second is not the first to be there"


def test_a_replica_whose_highest_version_fails_first_does_not_come_up(side: Side) -> None:
    side.add(5, load_seconds=1.0)
    side.break_version(6)
    side.add(6)
    side.write([5, 6], 5)
    side.start()
    side.let_polls_pass()

    assert not side.answers()


def test_a_replica_comes_up_when_its_first_version_is_there_at_last(side: Side) -> None:
    side.write([8], 8)
    side.start()
    side.let_polls_pass()
    assert not side.answers()
    side.add(8)

    assert side.eventually(side.answers)
    assert 8 == side.behind()


@pytest.mark.parametrize("text", ["model_config_list {", None])
def test_a_replica_without_a_config_to_read_does_not_come_up(side: Side, text: str | None) -> None:
    if text is not None:
        side.write_text(text)
    side.start()
    side.let_polls_pass()

    assert not side.answers()


def test_requests_go_to_the_version_asked_for_or_the_label_or_the_highest(side: Side) -> None:
    side.add(5, shift=1)
    side.write([4, 5], 4)
    side.start()
    assert side.eventually(lambda: side.answers() and side.states() == [(5, "AVAILABLE"), (4, "AVAILABLE")])
    answers = [side.predict(b"2", version=5), side.predict(b"2", label="stable"), side.predict(b"2")]

    assert [5, 4, 5] == [answer.version for answer in answers]
    assert [[b"3"], [b"2"], [b"3"]] == [answer.outputs["label"].tolist() for answer in answers]
    types = {"label": np.dtype(object), "probabilities": np.dtype(np.float32), "class_index": np.dtype(np.int64)}
    assert types == {name: array.dtype for name, array in answers[0].outputs.items()}
    assert (1, 4) == answers[0].outputs["probabilities"].shape


def test_requests_that_cannot_be_answered_are_refused_in_the_servers_words(serving_two: Side) -> None:
    side = serving_two
    with pytest.raises(NotServedError, match=r"NOT_FOUND: Servable not found for request: Specific\(digits, 9\)"):
        side.predict(b"1", version=9)
    with pytest.raises(NotServedError, match="INVALID_ARGUMENT: Unrecognized servable version label: best"):
        side.predict(b"1", label="best")
    with pytest.raises(RefusedError, match="INVALID_ARGUMENT: Unknown image file format"):
        side.predict(b"no digit", version=1)
    with side.connect() as replica:
        assert [] == replica.statuses("cats")
        assert replica.status("cats", 1) is None
        assert replica.version_behind("cats", "stable") is None
        with pytest.raises(NotServedError):
            replica.predict("cats", {}, version=1)
    assert side.behind("best") is None


def test_a_replica_that_is_away_is_unreachable(serving_two: Side) -> None:
    side = serving_two
    side.stop()
    with pytest.raises(UnreachableError, match=r"UNAVAILABLE: no connection \(.*Connection refused"):
        side.behind()


def test_nothing_is_asked_over_a_connection_that_was_closed(serving_two: Side) -> None:
    connection = serving_two.connect()
    connection.close()
    with pytest.raises(ValueError, match="closed channel"):
        connection.status("digits", 1)


@pytest.mark.parametrize("make", [SimulatedSide, RealSide])
def test_a_server_of_the_first_ring_follows_its_config_and_no_other(make: type[Side], tmp_path: Path) -> None:
    """Both configs name the same base path; the candidate 2 is in that of the first ring alone, and then nowhere."""
    side = make(tmp_path, first_ring=True)
    for version in (1, 2, 3):
        side.add(version)
    others = layout.config(MODEL)
    side.write_text(text_format.MessageToString(side.config([1], 1)), key=others)
    side.write([1, 2], 1)
    side.start()
    try:
        assert side.eventually(lambda: side.answers() and side.states() == [(2, "AVAILABLE"), (1, "AVAILABLE")])
        side.write_text(text_format.MessageToString(side.config([3, 1], 1)), key=others)
        side.let_polls_pass()
        assert [(2, "AVAILABLE"), (1, "AVAILABLE")] == side.states()
        side.write([1], 1)

        assert side.eventually(lambda: side.states() == [(2, "END"), (1, "AVAILABLE")])
        assert 1 == side.behind()
    finally:
        side.stop()


@pytest.mark.parametrize("make", [SimulatedSide, RealSide])
def test_a_server_of_the_first_ring_looks_below_its_base_path_and_no_other(make: type[Side], tmp_path: Path) -> None:
    side = make(tmp_path, latest=True, first_ring=True)
    side.add(3)
    side.place_for_the_ring(1)
    side.start()
    try:
        assert side.eventually(lambda: side.answers() and side.answering() == 1)
        side.place_for_the_ring(2)
        assert side.eventually(lambda: side.answering() == 2)
        assert side.bucket.remove(layout.first_ring_version(MODEL, 2))

        assert side.eventually(lambda: side.answering() == 1)
        assert side.state(3) is None
    finally:
        side.stop()
