"""The state function: who is resident, and which transitions there are."""

import pytest

from pipeline.journal.state import Refused, State, claim, expose, promote, resident, roll_back, withdraw

STEADY = State(serving=3, previous=2, next_version=4)


@pytest.mark.parametrize(
    ("expected", "state"),
    [
        ((), State()),
        ((1,), State(candidate=1, next_version=2)),
        ((1,), State(serving=1, next_version=2)),
        ((2, 3), STEADY),
        ((3, 4), STEADY.model_copy(update={"candidate": 4})),
        ((3, 5), State(serving=3, leaving=5, previous=2)),
    ],
)
def test_at_most_two_versions_are_resident(expected: tuple[int, ...], state: State) -> None:
    assert expected == resident(state)


def test_a_number_is_never_given_twice() -> None:
    assert State(next_version=3) == claim(claim(State()))


def test_exposing_takes_the_seat_of_previous_and_keeps_it_known() -> None:
    exposed = expose(STEADY, 4)

    assert (3, 4) == resident(exposed)
    assert 2 == exposed.previous


def test_promoting_changes_no_residency_only_roles() -> None:
    exposed = expose(STEADY, 4)
    promoted = promote(exposed)

    assert State(serving=4, previous=3, next_version=4) == promoted
    assert resident(exposed) == resident(promoted)


def test_withdrawing_the_candidate_brings_previous_back() -> None:
    assert STEADY == withdraw(expose(STEADY, 4), 4)


def test_withdrawing_the_first_release_goes_back_to_nothing() -> None:
    assert State(next_version=2) == withdraw(State(serving=1, next_version=2), 1)


def test_what_serves_cannot_be_withdrawn_while_there_is_a_way_back() -> None:
    with pytest.raises(Refused, match="roll back first"):
        withdraw(STEADY, 3)


def test_a_roll_back_moves_only_roles_until_the_old_version_is_withdrawn() -> None:
    rolled = roll_back(STEADY, 2, previous=1)

    assert resident(STEADY) == resident(rolled)
    assert (2, 3) == (rolled.serving, rolled.leaving)
    assert (1, 2) == resident(withdraw(rolled, 3))


@pytest.mark.parametrize("version", [3])
def test_what_serves_is_not_exposed(version: int) -> None:
    with pytest.raises(Refused, match="serving already"):
        expose(STEADY, version)


def test_nothing_is_exposed_while_a_version_is_leaving() -> None:
    with pytest.raises(Refused, match="taking v3 away"):
        expose(roll_back(STEADY, 2, previous=None), 4)


def test_there_is_no_promotion_without_a_candidate() -> None:
    with pytest.raises(Refused, match="no candidate"):
        promote(STEADY)
