"""Which replica gets a request, with a clock that stands still until a test moves it."""

from collections import Counter

import pytest

from serving.client.picker import FIRST_REST_SECONDS, LONGEST_REST_SECONDS, Pick, Picker, ReplicaState
from serving.errors import DiscoveryError

A, B, C = "a:1", "b:1", "c:1"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def picker_of(clock: Clock, *addresses: str, first: int = 0) -> Picker:
    """A picker of addresses that have been probed."""
    picker = Picker(first=first, now=clock)
    picker.update(addresses)
    probe(picker)
    return picker


def probe(picker: Picker, *, works: bool = True) -> list[str]:
    """Probe all that are to be probed, with this outcome, and return them."""
    found = picker.to_probe()
    for address in found:
        picker.probed(address, works=works)
    return found


def pick(picker: Picker) -> Pick:
    found = picker.pick()
    assert found is not None
    return found


def picked(picker: Picker, count: int) -> list[str]:
    return [pick(picker).address for _ in range(count)]


def test_all_are_picked_in_turn(clock: Clock) -> None:
    assert [B, C, A, B] == picked(picker_of(clock, A, B, C, first=1), 4)


def test_the_others_share_the_requests_of_one_that_failed(clock: Clock) -> None:
    picker = picker_of(clock, A, B, C)
    picker.failed(pick(picker))

    assert [B, C, B, C] == picked(picker, 4)


def test_a_list_that_is_not_known_is_an_error(clock: Clock) -> None:
    with pytest.raises(DiscoveryError, match="which replicas exist is not known"):
        Picker(now=clock).pick()


def test_a_new_address_is_picked_after_a_probe_of_it_succeeded(clock: Clock) -> None:
    picker = picker_of(clock, A)
    picker.update([A, B])

    assert [A, A] == picked(picker, 2)
    assert [B] == probe(picker)
    assert {A, B} == set(picked(picker, 2))


def test_an_address_that_fails_its_probe_is_probed_again_after_ever_longer_rests(clock: Clock) -> None:
    picker = picker_of(clock, A)
    picker.update([A, B])
    rests = []
    for _ in range(6):
        assert [B] == probe(picker, works=False)
        assert [] == picker.to_probe()
        rests.append(picker.seconds_to_next_probe())
        clock.now += rests[-1] or 0

    assert [1.0, 2.0, 4.0, 8.0, 10.0, 10.0] == rests
    assert (FIRST_REST_SECONDS, LONGEST_REST_SECONDS) == (rests[0], rests[-1])


def test_an_address_that_failed_rests_then_is_probed_and_gets_one_request(clock: Clock) -> None:
    picker = picker_of(clock, A, B)
    picker.failed(pick(picker))

    assert [] == picker.to_probe()
    clock.now += FIRST_REST_SECONDS
    assert [B, B] == picked(picker, 2)
    assert [A] == probe(picker)
    assert [A, B, B] == picked(picker, 3)


def test_an_address_whose_trial_is_answered_gets_its_share_again(clock: Clock) -> None:
    picker = picker_of(clock, A, B)
    picker.failed(pick(picker))
    clock.now += FIRST_REST_SECONDS
    probe(picker)
    assert [B] == picked(picker, 1)
    picker.answered(pick(picker))

    assert [B, A, B, A] == picked(picker, 4)


def test_an_address_whose_trial_fails_rests_twice_as_long(clock: Clock) -> None:
    picker = picker_of(clock, A, B)
    picker.failed(pick(picker))
    clock.now += FIRST_REST_SECONDS
    probe(picker)
    assert [B] == picked(picker, 1)
    picker.failed(pick(picker))

    assert 2 * FIRST_REST_SECONDS == picker.seconds_to_next_probe()


def test_a_trial_whose_outcome_is_never_reported_blocks_nothing(clock: Clock) -> None:
    picker = picker_of(clock, A, B)
    picker.failed(pick(picker))
    clock.now += FIRST_REST_SECONDS
    probe(picker)
    assert [B] == picked(picker, 1)
    assert [A, B, B] == picked(picker, 3)
    clock.now += FIRST_REST_SECONDS

    assert A in picked(picker, 2)


def test_of_many_requests_that_fail_at_once_the_first_counts(clock: Clock) -> None:
    picker = picker_of(clock, A)
    under_way = [pick(picker) for _ in range(50)]
    for each in under_way:
        picker.failed(each)

    assert FIRST_REST_SECONDS == picker.seconds_to_next_probe()


def test_an_answer_to_a_request_from_before_the_failure_ends_no_rest(clock: Clock) -> None:
    picker = picker_of(clock, A, B)
    late, failing = [each for each in (pick(picker) for _ in range(4)) if each.address == A]
    picker.failed(failing)
    picker.answered(late)

    assert [B, B] == picked(picker, 2)


def test_if_all_rest_the_one_that_has_rested_longest_is_picked(clock: Clock) -> None:
    picker = picker_of(clock, A, B)
    for _ in range(2):
        picker.failed(pick(picker))
        clock.now += 0.1

    addresses = []
    for _ in range(3):
        addresses += picked(picker, 1)
        clock.now += 0.1

    assert [A, B, A] == addresses


def test_if_none_is_usable_one_that_has_worked_is_preferred_to_one_that_never_has(clock: Clock) -> None:
    picker = picker_of(clock, A)
    picker.update([B, A])
    probe(picker, works=False)
    clock.now += 0.1
    picker.failed(pick(picker))

    assert [A] == picked(picker, 1)


def test_addresses_that_were_never_probed_are_better_than_none(clock: Clock) -> None:
    picker = Picker(now=clock)
    picker.update([A])

    assert [A] == picked(picker, 1)


def test_an_answer_proves_an_address(clock: Clock) -> None:
    picker = Picker(now=clock)
    picker.update([A])
    picker.answered(pick(picker))

    assert [] == picker.to_probe()
    assert picker.seconds_to_next_probe() is None


def test_another_address_is_one_that_was_not_asked(clock: Clock) -> None:
    picker = picker_of(clock, A, B)
    other = picker.pick(other_than={A})

    assert other is not None
    assert B == other.address
    assert picker.pick(other_than={A, B}) is None


def test_one_that_failed_may_be_no_choice_but_one_that_was_not_probed_yet_is(clock: Clock) -> None:
    picker = picker_of(clock, A, B)
    picker.failed(pick(picker))

    assert picker.pick(other_than={B}, failed=False) is None
    assert picker.pick(other_than={B}) is not None
    picker.update([A, B, C])
    assert C == getattr(picker.pick(other_than={B}, failed=False), "address", None)


def test_what_is_known_of_an_address_survives_a_new_list_and_ends_when_it_leaves(clock: Clock) -> None:
    picker = picker_of(clock, A, B)
    failed = pick(picker)
    picker.failed(failed)
    picker.update([B, A, C])
    probe(picker)
    assert {B, C} == set(picked(picker, 4))
    picker.update([B])
    picker.update([B, A])

    assert [A] == probe(picker)
    picker.failed(failed)
    assert {A, B} == set(picked(picker, 2))


def test_outcomes_for_an_address_that_has_gone_change_nothing(clock: Clock) -> None:
    picker = picker_of(clock, A, B)
    gone = pick(picker)
    picker.update([B])
    picker.failed(gone)
    picker.answered(gone)
    picker.probed(A, works=True)

    assert [B, B] == picked(picker, 2)


def test_what_is_known_of_each_address_can_be_shown(clock: Clock) -> None:
    picker = picker_of(clock, A, B)
    picker.failed(pick(picker))
    picker.update([A, B, C])
    clock.now += 0.25

    assert [
        ReplicaState(A, usable=False, failures=1, rests_seconds=0.75),
        ReplicaState(B, usable=True, failures=0, rests_seconds=0),
        ReplicaState(C, usable=False, failures=0, rests_seconds=0),
    ] == picker.states()


def test_one_that_is_out_is_better_than_none(clock: Clock) -> None:
    picker = picker_of(clock, A, B, C)
    for _ in range(60):
        each = pick(picker)
        picker.answered(each, faulty=each.address == A)
    assert A not in picked(picker, 10)
    for _ in range(2):
        picker.failed(pick(picker))

    assert A == pick(picker).address
    clock.now += 10
    assert A in picked(picker, 3)


def test_second_attempts_do_not_change_whose_turn_it_is(clock: Clock) -> None:
    """...and are shared by all others in turn."""
    picker = picker_of(clock, A, B, C)
    firsts, seconds = [], []
    for _ in range(6):
        firsts.append(pick(picker).address)
        other = picker.pick(other_than={firsts[-1]})
        seconds.append(other.address if other else "")

    assert [A, B, C, A, B, C] == firsts
    assert {A: 2, B: 2, C: 2} == Counter(seconds)
