"""The label list: what keeps its index, and what the gate says of labels that are missing, new or out of order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.verdicts.labels import ApprovedLabels, arrange, changes, judge_labels, quoted
from pipeline.verdicts.verdict import Check, Decision

SERVING = ("cat", "dog", "rat")
names = st.lists(st.text(alphabet="abcd ,'", min_size=1, max_size=3), unique=True, max_size=6)


def judged(
    present: set[str], *, accepted: tuple[str, ...] = (), labels: tuple[str, ...] | None = None, snapshot: int = 3
) -> Check:
    if labels is None:
        labels = arrange(present, serving=SERVING, accepted=accepted)
    (check,) = judge_labels(
        labels, present=present, accepted=accepted, serving_version=3, serving=SERVING, arranged_for=snapshot
    )
    return check


@pytest.mark.parametrize(
    ("expected", "present", "accepted"),
    [
        (("cat", "dog", "rat"), {"rat", "dog", "cat"}, ()),
        (("cat", "dog", "rat", "ant", "owl"), {"owl", "rat", "dog", "cat", "ant"}, ()),
        (("cat", "dog", "rat"), {"rat", "cat"}, ()),
        (("cat", "dog", "rat", "ant"), {"ant", "rat", "cat"}, ("ant",)),
        (("cat", "rat"), {"rat", "cat"}, ("dog",)),
        (("cat", "rat", "ant"), {"ant", "rat", "cat"}, ("ant", "dog")),
    ],
)
def test_labels_keep_their_index_and_new_ones_come_last(
    expected: tuple[str, ...], present: set[str], accepted: tuple[str, ...]
) -> None:
    assert expected == arrange(present, serving=SERVING, accepted=accepted)


def test_a_first_model_has_its_labels_in_alphabetical_order() -> None:
    assert ("ant", "cat") == arrange({"cat", "ant"}, serving=(), accepted=())


@given(names, names, names)
def test_only_an_accepted_removal_moves_an_index(serving: list[str], present: list[str], accepted: list[str]) -> None:
    arranged = arrange(present, serving=serving, accepted=accepted)
    removed = set(serving) - set(arranged)

    assert len(set(arranged)) == len(arranged)
    assert set(present) <= set(arranged)
    assert removed <= set(accepted) - set(present)
    assert removed or arranged[: len(serving)] == tuple(serving)


def test_the_same_labels_pass() -> None:
    assert Decision.PASS is judged(set(SERVING)).decision


@pytest.mark.parametrize(
    ("reason", "accept", "present"),
    [
        ("label 'dog' of v3 is missing from the images; v3 still serves", '["dog"]', {"cat", "rat"}),
        ("label 'owl' is new; v3 still serves", '["owl"]', {*SERVING, "owl"}),
        (
            "label 'dog' of v3 is missing from the images, and 'aardvark' is new; v3 still serves",
            '["dog", "aardvark"]',
            {"cat", "rat", "aardvark"},
        ),
        (
            "labels 'cat', 'dog' of v3 are missing from the images, and 'ant', 'bee' are new; v3 still serves",
            '["cat", "dog", "ant", "bee"]',
            {"rat", "ant", "bee"},
        ),
    ],
)
def test_a_missing_or_new_label_fails_by_name_and_says_how_to_accept_it(
    reason: str, accept: str, present: set[str]
) -> None:
    check = judged(present)

    assert Decision.FAIL is check.decision
    assert check.reason.startswith(reason)
    assert f"trigger a run with accept_labels {accept} and a note that says why" in check.reason


def test_an_accepted_label_accepts_no_other() -> None:
    """A person who adds `owl` has not agreed that `dog` vanishes."""
    check = judged({"cat", "rat", "owl"}, accepted=("owl",))

    assert Decision.FAIL is check.decision
    assert check.reason.startswith("label 'dog' of v3 is missing from the images; ")
    assert 'accept_labels ["dog", "owl"]' in check.reason


def test_an_accepted_rename_passes_and_is_named() -> None:
    check = judged({"cat", "rat", "owl"}, accepted=("owl", "dog"))

    assert Decision.PASS is check.decision
    assert "labels keep the order of v3, 'owl' added as accepted, 'dog' removed as accepted" == check.reason


def test_labels_that_were_arranged_for_another_version_fail() -> None:
    """Another version was promoted between `snapshot` and `evaluate`."""
    check = judged(set(SERVING), labels=("rat", "dog", "cat"), snapshot=2)

    assert Decision.FAIL is check.decision
    assert "are not in the order of v3, which serves: `snapshot` has arranged them for v2" in check.reason


def test_labels_of_the_serving_version_that_are_not_known_leave_it_unknown() -> None:
    (check,) = judge_labels(SERVING, present=set(SERVING), accepted=(), serving_version=3, serving=None, arranged_for=3)

    assert Decision.UNKNOWN is check.decision
    assert "the labels of v3 were not recorded" in check.reason


def test_many_labels_are_not_all_printed() -> None:
    reason = judged({*SERVING, *(f"new {number:03}" for number in range(200))}).reason

    assert "'new 009' and 190 more are new" in reason
    assert "these and 190 more labels (snapshot.json of this run has all)" in reason
    assert len(reason) < 700


def test_two_names_that_look_the_same_can_be_told_apart() -> None:
    composed, decomposed = "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "cafe\N{COMBINING ACUTE ACCENT}"
    found = changes({decomposed}, [composed])

    assert ((composed,), (decomposed,)) == (found.missing, found.new)
    assert f"'{decomposed}' (that is 'cafe\\u0301')" == quoted(found.new)


@pytest.mark.parametrize(
    ("expected", "labels"),
    [
        (SERVING, ("cat", "dog", "rat", "ant")),
        (("dog", "cat", "rat"), ("dog", "cat", "rat")),
        (SERVING, ("cat", "rat")),
    ],
)
def test_the_serving_version_is_held_to_the_candidates_order_unless_a_label_was_removed(
    expected: tuple[str, ...], labels: tuple[str, ...]
) -> None:
    approved = ApprovedLabels(version=4, labels=labels, serving=3, serving_labels=SERVING)

    assert labels == approved.of(4)
    assert expected == approved.of(3)
