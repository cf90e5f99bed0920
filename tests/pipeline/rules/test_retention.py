"""What may go and why the rest stays, on the journal alone."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.clock import Clock
from pipeline.errors import BadInputError, FailedError
from pipeline.journal.entries import Change, Event
from pipeline.journal.history import History
from pipeline.journal.journal import JournalWriter
from pipeline.journal.state import State, withdraw
from pipeline.rollout.config import named_versions, render
from pipeline.rules import reconcile as reconcile_rules
from pipeline.rules import retention
from pipeline.rules import run as run_rules
from pipeline.rules.reconcile import Deadline
from pipeline.rules.retention import (
    RetentionDecision,
    RetentionLimits,
    StoredVersions,
    VersionDecision,
    old_known_runs,
    old_runs,
)
from pipeline.rules.rollback import give_up, next_step, targets_of
from pipeline.spec import RetentionPolicy
from pipeline.storage.memory import MemoryBucket
from tests.pipeline.journal.test_journal import PASS, Releases
from tests.protocol.clock import VirtualClock

HOUR = 3600.0
DAY = 24 * HOUR
NOTHING = StoredVersions(frozenset(), frozenset(), frozenset())


class Dated(Releases):
    """Releases in a bucket in memory, at moments that a test chooses."""

    def __init__(self, folder: Path, *, bucket: MemoryBucket | None = None) -> None:
        super().__init__(folder)
        self.memory = bucket or MemoryBucket()
        self.clock = VirtualClock()

    def journal(self, run_key: str = "retrain-0") -> JournalWriter:
        clock: Clock = self.clock
        return JournalWriter(self.memory, "digits", run_key=run_key, actor="ann", clock=clock)

    def days(self, number: float) -> None:
        """Let time pass."""
        self.clock.sleep(number * DAY)

    def release_weekly(self, count: int) -> None:
        for number in range(1, count + 1):
            self.release(f"retrain-{number}")
            self.days(7)

    def withdraw(self, run_key: str, version: int) -> History:
        return self.journal(run_key).decide(
            lambda h: run_rules.withdraw(h, version=version, run_key=run_key, reason="bad", verdict=None)
        )

    def write(self, change: Change) -> History:
        return self.journal("rollback-99").decide(lambda _: change)

    def terms(self, *, keep: int = 3, days: float = 14) -> RetentionLimits:
        return RetentionLimits(RetentionPolicy(keep=keep, days=days), self.clock.now(), HOUR)

    def plan(self, found: StoredVersions = NOTHING, *, keep: int = 3, days: float = 14) -> dict[int, VersionDecision]:
        lines = retention.plan(self.history(), found, self.terms(keep=keep, days=days))
        return {line.version: line for line in lines}

    def staying(self, found: StoredVersions = NOTHING, *, keep: int = 3, days: float = 14) -> list[int]:
        return [
            v for v, line in self.plan(found, keep=keep, days=days).items() if line.decision is RetentionDecision.KEEP
        ]

    def retire(
        self, found: StoredVersions = NOTHING, *, keep: int = 3, days: float = 14, run_key: str = "retain-1"
    ) -> History:
        terms = self.terms(keep=keep, days=days)
        return self.journal(run_key).decide(lambda h: retention.retire(h, found, terms))


@pytest.fixture
def past(tmp_path: Path) -> Dated:
    return Dated(tmp_path)


def served(*versions: int) -> StoredVersions:
    return StoredVersions(frozenset(versions), frozenset(), frozenset())


@pytest.mark.parametrize(
    ("keep", "expected"), [(0, [5, 6]), (1, [5, 6]), (2, [4, 5, 6]), (3, [3, 4, 5, 6]), (99, [1, 2, 3, 4, 5, 6])]
)
def test_what_serves_stays_and_the_good_ones_before_it(past: Dated, keep: int, expected: list[int]) -> None:
    past.release_weekly(6)

    assert expected == past.staying(keep=keep, days=0)


def test_after_a_roll_back_to_an_older_version_the_good_ones_that_came_after_it_stay(past: Dated) -> None:
    past.release_weekly(5)
    past.roll_back(2, "rollback-6")  # v5 is withdrawn by that
    past.days(30)

    assert [1, 2, 4] == past.staying(keep=1, days=0)
    assert [1, 2, 3, 4] == past.staying(keep=3, days=0)
    assert ("previous", "good, and newer than the serving version") == past.plan(keep=1, days=0)[4].why


def test_bad_ones_are_no_ways_back_and_do_not_count(past: Dated) -> None:
    past.release_weekly(3)
    past.roll_back(2, "rollback-1")
    past.expose("retrain-4", past.publish("retrain-4"))
    past.withdraw("retrain-4", 4)
    past.release("retrain-5")
    past.days(7)

    assert [1, 2, 5] == past.staying(keep=2, days=0)
    assert ("withdrawn", RetentionDecision.RETIRE) == (past.plan(days=0)[4].description, past.plan(days=0)[4].decision)


def test_every_reason_is_told(past: Dated) -> None:
    past.release("retrain-1")
    past.release("retrain-2")
    past.days(1)
    found = StoredVersions(frozenset({1, 2}), frozenset(), frozenset({1, 2}))

    assert (
        "previous",
        "number 1 of the last 3 good ones",
        "named by the config",
        "confirmed on 2026-01-01, less than 14 days ago",
    ) == past.plan(found)[1].why
    assert ("serving", "named by the config", "confirmed on 2026-01-01, less than 14 days ago") == past.plan(found)[
        2
    ].why


@pytest.mark.parametrize(("days", "stays"), [(6.9, False), (7.1, True), (0, False)])
def test_what_was_last_heard_of_more_recently_stays(past: Dated, days: float, stays: bool) -> None:
    past.release_weekly(2)
    past.expose("retrain-3", past.publish("retrain-3"))
    past.withdraw("retrain-3", 3)
    past.days(7)

    assert stays == (3 in past.staying(days=days))


def test_a_clock_that_is_behind_lets_nothing_go(past: Dated) -> None:
    past.release_weekly(6)
    before = RetentionLimits(RetentionPolicy(keep=0, days=0), past.clock.now() - timedelta(days=365), HOUR)

    assert retention.retire(past.history(), NOTHING, before) is None


def test_a_pinned_version_stays(past: Dated) -> None:
    past.release_weekly(6)
    pinned = past.history().state.model_copy(update={"pinned": 2})
    past.write(Change(Event.PINNED, 2, "the customer's", pinned))
    past.days(99)

    assert "pinned" in past.plan(days=0)[2].why
    assert [2, 5, 6] == past.staying(keep=0, days=0)


def test_the_candidate_stays_and_so_does_what_a_roll_back_takes_away(past: Dated) -> None:
    past.release_weekly(4)
    journal, request = past.journal("rollback-1"), past.request("rollback-1", "1")
    journal.decide(lambda h: next_step(h, request=request, target=1, loaded=False))
    past.days(99)
    assert ("candidate",) == past.plan(keep=0, days=0)[1].why
    journal.decide(lambda h: next_step(h, request=request, target=1, loaded=True))
    past.days(99)

    assert 4 == past.history().state.leaving
    assert [1, 3, 4] == past.staying(keep=0, days=0), "v3 is the previous one then"


def test_what_a_config_names_stays_also_when_it_is_older_than_the_journal(past: Dated) -> None:
    past.release_weekly(5)
    found = StoredVersions(frozenset({1, 2, 3, 4, 5}), frozenset(), frozenset({1, 2}))

    assert [1, 2, 4, 5] == past.staying(found, keep=0, days=0)


@pytest.mark.parametrize(("hours", "stays"), [(0.9, True), (1.1, False)])
@pytest.mark.parametrize("last", ["claimed", "published"])
def test_a_run_may_be_at_work_for_as_long_as_a_verb_may_be_silent(
    past: Dated, hours: float, stays: bool, last: str
) -> None:
    """F1: a claim that came to nothing goes like any other version."""
    past.release("retrain-1")
    past.publish("retrain-2")
    if last == "claimed":
        past.journal("retrain-3").decide(
            lambda h: run_rules.claim(h, run_key="retrain-3", compared_with=1, reason="good", verdict=PASS)
        )
    version = past.history().state.next_version - 1
    past.clock.sleep(hours * HOUR)

    assert last == past.plan(days=0)[version].description
    assert stays == (version in past.staying(days=0))
    assert version in past.staying(days=1)


def test_a_retired_claim_is_nobodys_problem_any_more(past: Dated) -> None:
    past.journal("retrain-1").decide(
        lambda h: run_rules.claim(h, run_key="retrain-1", compared_with=None, reason="good", verdict=PASS)
    )
    past.days(15)
    deadline = Deadline(past.clock.now(), HOUR)
    assert [1] == [claim.version for claim in reconcile_rules.never_published(past.history(), deadline=deadline)]
    past.retire()

    assert [] == reconcile_rules.never_published(past.history(), deadline=deadline)


def reissue(past: Dated, version: int) -> int:
    number = past.history().state.next_version
    past.journal("rollback-7").decide(lambda h: run_rules.reissue(h, version=version, reason="stuck"))
    return number


def test_the_numbers_of_one_model_stay_and_go_together(past: Dated) -> None:
    past.release("retrain-1")
    copy = reissue(past, 1)
    past.days(30)
    assert ("the same model as v2",) == past.plan(keep=0)[1].why
    past.release("retrain-3")
    past.release("retrain-4")
    past.release("retrain-5")
    past.days(30)
    going = {
        version for version, line in past.plan(keep=0, days=14).items() if line.decision is RetentionDecision.RETIRE
    }

    assert (2, {1, 2, 3}) == (copy, going)
    assert "v1 again" == past.plan()[2].description


def test_the_base_path_is_never_emptied(past: Dated) -> None:
    """A server that finds nothing below it unloads everything."""
    past.expose("retrain-1", past.publish("retrain-1"))
    past.withdraw("retrain-1", 1)
    past.expose("retrain-2", past.publish("retrain-2"))
    past.withdraw("retrain-2", 2)
    past.days(99)

    assert [] == past.staying(days=0)
    assert [2] == past.staying(served(1, 2), days=0)
    assert [1] == past.staying(served(1), days=0)
    assert ("the base path would be empty without it",) == past.plan(served(1), days=0)[1].why


def test_what_stays_below_the_base_path_stays_with_the_files_it_shares(past: Dated) -> None:
    past.release("retrain-1")
    copy = reissue(past, 1)
    past.write(Change(Event.WITHDRAWN, copy, "bad", withdraw(past.history().state, copy)))
    past.days(99)

    assert [] == past.staying(keep=0)
    assert [1, 2] == past.staying(served(2), keep=0)


def test_of_all_that_is_left_below_the_base_path_the_newest_good_one_stays(past: Dated) -> None:
    past.release_weekly(6)
    past.expose("retrain-7", past.publish("retrain-7"))
    past.withdraw("retrain-7", 7)
    past.days(99)

    assert [2, 5, 6] == past.staying(served(1, 2, 7), keep=0, days=0)


def test_files_of_a_retired_version_are_deleted_as_long_as_there_are_any(past: Dated) -> None:
    past.release_weekly(4)
    past.retire(keep=0, days=0)
    there = StoredVersions(frozenset({1, 3, 4}), frozenset({2}), frozenset())

    assert {
        1: RetentionDecision.DELETE,
        2: RetentionDecision.DELETE,
        3: RetentionDecision.KEEP,
        4: RetentionDecision.KEEP,
    } == {version: line.decision for version, line in past.plan(there, days=99).items()}
    assert [3, 4] == list(past.plan(served(3, 4)))
    assert [1, 3, 4] == past.staying(StoredVersions(there.served, there.published, frozenset({1})), keep=0, days=0)


def test_what_goes_goes_in_one_entry_and_changes_no_role(past: Dated) -> None:
    past.release_weekly(5)
    before = past.history()
    after = past.retire(keep=0, days=0)
    entry = after.all()[-1]

    assert before.seq + 1 == after.seq
    assert (Event.RETIRED, 3, (1, 2, 3)) == (entry.event, entry.version, entry.versions)
    assert "retention: keep 0, 0 days" == entry.reason
    assert before.state == after.state
    assert after.seq == past.retire(keep=0, days=0, run_key="retain-2").seq


def test_nothing_was_ever_released(past: Dated) -> None:
    assert {} == past.plan(served(1, 2))
    assert 0 == past.retire(served(1, 2)).seq


def test_a_retired_version_is_no_target_and_the_message_says_what_is(past: Dated) -> None:
    past.release_weekly(5)
    past.retire(keep=1, days=0)
    told = (
        r"v3 was retired on 2026-02-05 \(retention: keep 1, 0 days\): its files are deleted\. Other versions that have "
        r"served: v4$"
    )
    with pytest.raises(BadInputError, match=told):
        targets_of(past.history(), past.request("rollback-1", "3"))
    with pytest.raises(BadInputError, match=told):
        next_step(past.history(), request=past.request("rollback-1", "3"), target=3, loaded=True)

    assert [4] == list(targets_of(past.history(), past.request("rollback-1", "previous")))


def test_a_roll_back_that_was_given_up_cannot_go_on_to_what_was_retired_since(past: Dated) -> None:
    past.release_weekly(4)
    journal, request = past.journal("rollback-1"), past.request("rollback-1", "1")
    journal.decide(lambda h: next_step(h, request=request, target=1, loaded=False))
    journal.decide(lambda h: give_up(h, target=1, reason="it cannot be loaded"))
    past.days(99)
    past.retire(keep=0)
    with pytest.raises(BadInputError, match="v1 was retired"):
        targets_of(past.history(), request)

    assert 4 == past.history().state.serving


def test_a_late_run_learns_that_its_number_was_retired(past: Dated) -> None:
    past.release("retrain-1")
    past.publish("retrain-2")
    past.days(99)
    past.retire()
    history = past.history()
    told = r"v2 was retired on 2026-04-10 .*, and its files are deleted\. A number is never used again\. Trigger"
    with pytest.raises(FailedError, match=told):
        run_rules.claim(history, run_key="retrain-2", compared_with=1, reason="good", verdict=PASS)
    with pytest.raises(FailedError, match=told):
        run_rules.announce_published(history, version=2, manifest="m")
    with pytest.raises(FailedError, match=told):
        run_rules.expose(history, version=2, compared_with=1)


def test_records_go_when_nobody_has_heard_of_their_run_for_long_and_its_version_goes(past: Dated) -> None:
    past.release_weekly(3)
    terms = past.terms(keep=0, days=0)
    lines = retention.plan(past.history(), NOTHING, terms)

    def moment(days: float) -> datetime:
        return past.clock.now() - timedelta(days=days)

    dated = {
        "retrain-1": moment(31),  # v1 goes
        "retrain-2": moment(99),  # v2 is previous
        "retrain-8": moment(29),  # declined by the gate
        "retrain-9": moment(31),
        "rollback-1": moment(31),
    }
    assert ["retrain-1", "retrain-9", "rollback-1"] == old_runs(past.history(), dated, lines, terms)


@pytest.mark.parametrize(("days", "expected"), [(27.9, []), (28, ["retrain-1"]), (35, ["retrain-1", "retrain-2"])])
def test_the_age_of_a_run_with_entries_is_that_of_its_last_one(past: Dated, days: float, expected: list[str]) -> None:
    """v3 serves; the runs of v1 and v2 ended 21 and 14 days before the clock begins to count."""
    past.release_weekly(3)
    history = past.history()
    lines = retention.plan(history, NOTHING, past.terms(keep=0, days=0))
    going = [replace(line, decision=RetentionDecision.RETIRE) for line in lines[:2]]
    past.days(days - 21)
    terms = RetentionLimits(RetentionPolicy(run_days=28), past.clock.now(), HOUR)

    known = history.known_runs([f"retrain-{number}" for number in range(1, 4)])
    assert expected == old_known_runs(history, known, [*going, lines[2]], terms)


@pytest.mark.parametrize(
    ("text", "versions"),
    [
        (render(model="m", base_path="/b", state=State(serving=12, previous=7), seq=3), {7, 12}),
        (render(model="m", base_path="/b", state=State(), seq=3), set()),
        ("specific { versions: [3,\n 4] }", {3, 4}),
        ("specific { versions : 3 versions:5 }", {3, 5}),
        ('version_labels { key: "stable" value: 6 }', {6}),
        ("latest { num_versions: 1 }", set()),
        ("\ufffd\ufffd", set()),
    ],
)
def test_the_versions_a_config_names(text: str, versions: set[int]) -> None:
    assert versions == named_versions(text)


def claim(past: Dated, key: str) -> None:
    serving = past.history().state.serving
    past.journal(key).decide(lambda h: run_rules.claim(h, run_key=key, compared_with=serving, reason="", verdict=PASS))


def refuse(past: Dated, key: str) -> None:
    version = past.publish(key)
    past.expose(key, version)
    past.withdraw(key, version)


def expose(past: Dated, key: str) -> None:
    past.expose(key, past.publish(key))


def go_back(past: Dated, key: str) -> None:
    target = past.history().state.previous
    if target is not None:
        past.roll_back(target, key.replace("retrain", "rollback"))


def reissue_it(past: Dated, _: str) -> None:
    state = past.history().state
    if state.serving is not None and state.candidate is None:
        reissue(past, state.serving)


STEPS: dict[str, Callable[[Dated, str], object]] = {
    "release": Dated.release,
    "claim": claim,
    "publish": Dated.publish,
    "refuse": refuse,
    "expose": expose,
    "go back": go_back,
    "reissue": reissue_it,
    "a week": lambda past, _: past.days(7),
    "retain": lambda past, key: past.retire(keep=1, days=7, run_key=key),
}


@dataclass(frozen=True)
class Case:
    steps: list[str]
    keep: int
    days: float
    below: set[int]
    named: set[int]


CASES = st.builds(
    Case,
    steps=st.lists(st.sampled_from(["release", "release", "a week", "a week", *STEPS]), max_size=14),
    keep=st.integers(0, 3),
    days=st.sampled_from([0.0, 6.0, 8.0]),
    below=st.sets(st.integers(1, 12)),
    named=st.sets(st.integers(1, 12), max_size=2),
)


@settings(max_examples=200, deadline=None)
@given(case=CASES)
def test_whatever_has_happened_nothing_that_is_needed_goes(
    tmp_path_factory: pytest.TempPathFactory, case: Case
) -> None:
    past = Dated(tmp_path_factory.getbasetemp())
    for number, step in enumerate(case.steps, start=1):
        STEPS[step](past, f"retrain-{number}")
    before = past.history()
    found = StoredVersions(frozenset(case.below), frozenset(), frozenset(case.named))
    after = past.retire(found, keep=case.keep, days=case.days, run_key="retain-99")

    state = after.state
    assert before.state == state
    numbers = range(1, state.next_version)
    retired = {version for version in numbers if after.retirement(version)}
    assert not retired & {state.serving, state.previous, state.candidate, state.leaving, state.pinned}
    assert not retired & set(islice(before.all_good_before(state.serving), case.keep))
    assert not retired & {version for version in case.named if before.retirement(version) is None}
    assert retired == {version for version in numbers if after.original(version) in retired}
    left = set(past.staying(found, keep=case.keep, days=case.days))
    known = case.below & set(numbers)
    assert not known or known & left, "the base path would be empty"
    assert after.seq == past.retire(found, keep=case.keep, days=case.days, run_key="retain-100").seq
