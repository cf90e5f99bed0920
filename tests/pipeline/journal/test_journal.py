"""The journal: one history, whoever writes."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline import layout
from pipeline.clock import SystemClock
from pipeline.errors import BadInputError, CouldNotTellError, DeclinedError, FailedError, StorageError
from pipeline.journal.entries import Change, Event
from pipeline.journal.history import History
from pipeline.journal.journal import JournalWriter
from pipeline.journal.state import State, claim, resident
from pipeline.moments import Until
from pipeline.rules import readmission
from pipeline.rules import run as run_rules
from pipeline.rules.rollback import RollbackRequest, hold_promotions, next_step, remove_leaving, targets_of, unfinished
from pipeline.storage.local import LocalBucket
from pipeline.verdicts.verdict import Decision, Verdict

PASS = Verdict(decision=Decision.PASS, reasons=("good",))


class Releases:
    """Runs that go well, written through the real rules."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.bucket = LocalBucket(folder)

    def journal(self, run_key: str = "retrain-0") -> JournalWriter:
        return JournalWriter(self.bucket, "digits", run_key=run_key, actor="ann", clock=SystemClock())

    def history(self) -> History:
        return self.journal().read()

    def publish(self, run_key: str, digest: str | None = None) -> int:
        journal, serving = self.journal(run_key), self.history().state.serving
        history = journal.decide(
            lambda h: run_rules.claim(
                h, run_key=run_key, compared_with=serving, reason="good", verdict=PASS, digest=digest
            )
        )
        version = history.version_of(run_key)
        assert version is not None
        journal.decide(lambda h: run_rules.announce_published(h, version=version, manifest="m"))
        return version

    def expose(self, run_key: str, version: int) -> History:
        serving = self.history().state.serving
        return self.journal(run_key).decide(lambda h: run_rules.expose(h, version=version, compared_with=serving))

    def promote(self, run_key: str, version: int) -> History:
        serving = self.history().state.serving
        return self.journal(run_key).decide(
            lambda h: run_rules.promote(h, version=version, compared_with=serving, verdict=PASS)
        )

    def release(self, run_key: str, digest: str | None = None) -> int:
        version = self.publish(run_key, digest)
        self.expose(run_key, version)
        self.promote(run_key, version)
        self.journal(run_key).decide(lambda h: run_rules.confirm(h, version=version))
        return version

    def request(self, run_key: str, to: str, *, seen: int | None = None, hold: Until | None = None) -> RollbackRequest:
        """Asked for now, unless an older entry was the last the person saw."""
        return RollbackRequest(run_key, to, "bad", self.history().seq if seen is None else seen, hold)

    def roll_back(self, target: int, run_key: str, *, hold: Until | None = None) -> History:
        """All the steps a roll-back writes; every version is loaded as soon as it is exposed."""
        journal, asked = self.journal(run_key), self.request(run_key, str(target), hold=hold)
        history = self.history()
        while history.state.serving != target:
            loaded = target in resident(history.state)
            history = journal.decide(lambda h, loaded=loaded: next_step(h, request=asked, target=target, loaded=loaded))  # type: ignore[misc]
        journal.decide(lambda h: hold_promotions(h, request=asked, target=target))
        journal.decide(lambda h: remove_leaving(h, target=target, reason="bad"))
        return journal.decide(lambda h: run_rules.confirm(h, version=target))


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


def test_an_empty_journal_is_the_state_before_the_first_release(releases: Releases) -> None:
    assert (State(), 0) == (releases.history().state, releases.history().seq)


def test_a_clock_set_back_changes_neither_numbers_nor_order(releases: Releases) -> None:
    """F48: numbers come from the journal; and no entry is dated before the one it follows."""

    class SetBack(SystemClock):
        def now(self) -> datetime:
            return datetime(2001, 1, 1, tzinfo=UTC)

    releases.release("retrain-1")
    journal = JournalWriter(releases.bucket, "digits", run_key="retrain-2", actor="ann", clock=SetBack())
    history = journal.decide(
        lambda h: run_rules.claim(h, run_key="retrain-2", compared_with=1, reason="good", verdict=PASS)
    )

    assert 2 == history.version_of("retrain-2")
    assert history.all()[-1].at == history.all()[-2].at


def test_a_gap_in_the_journal_stops_everything(releases: Releases, tmp_path: Path) -> None:
    releases.release("retrain-1")
    (tmp_path / layout.entry("digits", 2)).unlink()

    with pytest.raises(StorageError, match=r"has no entry \[2\]"):
        releases.history()


def test_racing_writers_each_get_their_own_number_and_nothing_is_lost(releases: Releases) -> None:
    """F10, F11: creating the next entry is the compare-and-swap."""
    barrier = threading.Barrier(8)

    def compete(number: int) -> None:
        barrier.wait()
        releases.journal(f"retrain-{number}").decide(
            lambda h: Change(Event.CLAIMED, h.state.next_version, "race", claim(h.state))
        )

    threads = [threading.Thread(target=compete, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    history = releases.history()

    assert set(range(1, 9)) == {history.version_of(f"retrain-{number}") for number in range(8)}
    assert 9 == history.state.next_version


def test_a_run_that_claims_twice_has_one_number(releases: Releases) -> None:
    """F9: the same run key, the same version."""
    assert releases.publish("retrain-1") == releases.publish("retrain-1")
    assert 2 == releases.history().state.next_version


def test_a_candidate_compared_with_an_older_version_is_declined(releases: Releases) -> None:
    """F11: a stale candidate has to be compared anew."""
    releases.release("retrain-1")
    releases.release("retrain-2")

    with pytest.raises(DeclinedError, match="v2 serves now, and this candidate was compared with v1"):
        run_rules.claim(releases.history(), run_key="retrain-3", compared_with=1, reason="", verdict=PASS)


def test_a_withdrawn_version_is_never_exposed_again(releases: Releases) -> None:
    """I4."""
    version = releases.publish("retrain-1")
    releases.expose("retrain-1", version)
    releases.journal().decide(
        lambda h: run_rules.withdraw(
            h, version=version, run_key="retrain-1", reason="golden answers differ", verdict=None
        )
    )

    with pytest.raises(FailedError, match="v1 was withdrawn: golden answers differ"):
        releases.expose("retrain-1", version)


def test_every_step_repeated_writes_nothing(releases: Releases) -> None:
    """I6."""
    releases.release("retrain-1")
    version = releases.release("retrain-2")
    before = releases.history().seq
    releases.publish("retrain-2")
    releases.expose("retrain-2", version)
    releases.promote("retrain-2", version)

    assert before == releases.history().seq


def test_a_newer_candidate_takes_the_seat_of_one_left_behind(releases: Releases) -> None:
    releases.release("retrain-1")
    left, newer = releases.publish("retrain-2"), releases.publish("retrain-3")
    releases.expose("retrain-2", left)
    history = releases.expose("retrain-3", newer)

    assert (1, 3) == resident(history.state)
    assert "replaces the candidate v2, whose run stopped before" in history.all()[-1].reason
    with pytest.raises(DeclinedError, match="not the candidate any more"):
        releases.promote("retrain-2", left)


def test_an_older_candidate_yields_to_a_newer_one(releases: Releases) -> None:
    releases.release("retrain-1")
    older, newer = releases.publish("retrain-2"), releases.publish("retrain-3")
    releases.expose("retrain-3", newer)

    with pytest.raises(DeclinedError, match="the newer candidate v3 is being tested, so v2 is not"):
        releases.expose("retrain-2", older)


def test_nobody_takes_the_seat_from_a_roll_back(releases: Releases) -> None:
    for key in ("retrain-1", "retrain-2", "retrain-3"):
        releases.release(key)
    version = releases.publish("retrain-4")
    releases.journal("rollback-5").decide(
        lambda h: next_step(h, request=releases.request("rollback-5", "1"), target=1, loaded=False)
    )

    with pytest.raises(CouldNotTellError, match="ann is rolling back to v1"):
        releases.expose("retrain-4", version)


def test_rolling_back_to_previous_loads_nothing_and_brings_the_one_before_back(releases: Releases) -> None:
    for key in ("retrain-1", "retrain-2", "retrain-3"):
        releases.release(key)
    before = releases.history().seq
    history = releases.roll_back(2, "rollback-4")

    assert [Event.ROLLED_BACK, Event.WITHDRAWN, Event.CONFIRMED] == [e.event for e in history.all()[before:]]
    assert State(serving=2, previous=1, next_version=4) == history.state


def test_rolling_back_to_a_version_not_in_memory_exposes_it_first(releases: Releases) -> None:
    for key in ("retrain-1", "retrain-2", "retrain-3"):
        releases.release(key)
    before = releases.history().seq
    history = releases.roll_back(1, "rollback-4")

    events = [entry.event for entry in history.all()[before:]]
    assert [Event.EXPOSED, Event.ROLLED_BACK, Event.WITHDRAWN, Event.CONFIRMED] == events
    assert State(serving=1, previous=2, next_version=4) == history.state


def test_a_roll_back_drops_a_candidate_and_its_run_then_declines(releases: Releases) -> None:
    """F44: the journal decides, and a roll-back waits for nobody."""
    releases.release("retrain-1")
    releases.release("retrain-2")
    version = releases.publish("retrain-3")
    releases.expose("retrain-3", version)
    history = releases.roll_back(1, "rollback-4")

    assert 1 == history.state.serving
    with pytest.raises(DeclinedError, match="v1 serves now, and this candidate was compared with v2"):
        run_rules.promote(history, version=version, compared_with=2, verdict=PASS)


def test_a_roll_back_does_not_wait_for_an_unfinished_one(releases: Releases) -> None:
    for key in ("retrain-1", "retrain-2", "retrain-3"):
        releases.release(key)
    releases.journal("rollback-4").decide(
        lambda h: next_step(h, request=releases.request("rollback-4", "2"), target=2, loaded=True)
    )
    history = releases.roll_back(1, "rollback-5")

    assert State(serving=1, next_version=4) == history.state


def test_versions_rolled_away_from_are_not_good_any_more(releases: Releases) -> None:
    """F46: "previous" never leads forward to what was rejected."""
    for key in ("retrain-1", "retrain-2", "retrain-3"):
        releases.release(key)
    releases.roll_back(2, "rollback-4")
    history = releases.history()

    assert not history.was_good(3)
    assert [1] == list(targets_of(history, releases.request("rollback-5", "previous")))


def test_a_person_may_bring_a_withdrawn_version_back_by_its_number(releases: Releases) -> None:
    releases.release("retrain-1")
    releases.release("retrain-2")
    releases.roll_back(1, "rollback-3")
    history = releases.roll_back(2, "rollback-4")

    assert 2 == history.state.serving
    assert history.withdrawal(2) is None


def test_a_colleague_who_asked_at_the_same_time_goes_no_step_further(releases: Releases) -> None:
    """F45: two on call, one effect."""
    for key in ("retrain-1", "retrain-2", "retrain-3"):
        releases.release(key)
    asked = releases.history().seq
    releases.roll_back(2, "rollback-4")
    history = releases.history()

    assert [2] == list(targets_of(history, releases.request("rollback-5", "previous", seen=asked)))
    assert [1] == list(targets_of(history, releases.request("rollback-6", "previous")))


def test_a_repeated_roll_back_keeps_its_own_target(releases: Releases) -> None:
    for key in ("retrain-1", "retrain-2", "retrain-3"):
        releases.release(key)
    releases.roll_back(2, "rollback-4")

    assert [2] == list(targets_of(releases.history(), releases.request("rollback-4", "previous", seen=0)))


def test_a_target_that_never_served_is_refused_with_those_that_did(releases: Releases) -> None:
    releases.release("retrain-1")
    releases.release("retrain-2")
    releases.publish("retrain-3")

    with pytest.raises(BadInputError, match=r"v3 has never served\. Other versions that have served: v1"):
        targets_of(releases.history(), releases.request("rollback-4", "3", seen=0))


def test_without_a_previous_version_there_is_nothing_to_go_back_to(releases: Releases) -> None:
    """F42: refuse, keep what serves."""
    releases.release("retrain-1")

    with pytest.raises(BadInputError, match="no previous good version"):
        targets_of(releases.history(), releases.request("rollback-2", "previous"))


def half_promoted(releases: Releases, run_key: str) -> int:
    """A promotion whose run was killed before every replica had followed."""
    version = releases.publish(run_key)
    releases.expose(run_key, version)
    releases.promote(run_key, version)
    return version


def test_a_promotion_that_stopped_half_way_is_undone_label_first(releases: Releases) -> None:
    releases.release("retrain-1")
    version = half_promoted(releases, "retrain-2")
    journal = releases.journal("retrain-2")
    history = journal.decide(
        lambda h: run_rules.undo_promotion(h, version=version, run_key="retrain-2", reason="b:1 did not follow")
    )

    assert (1, 2) == (history.state.serving, history.state.leaving)
    assert (1, 2) == resident(history.state)
    history = journal.decide(
        lambda h: run_rules.withdraw(h, version=version, run_key="retrain-2", reason="b:1 did not follow", verdict=None)
    )
    assert State(serving=1, next_version=3) == history.state


def test_nothing_is_exposed_while_a_promotion_is_half_done(releases: Releases) -> None:
    """Else the way back of the half-done one would lose its seat in memory."""
    releases.release("retrain-1")
    half = half_promoted(releases, "retrain-2")
    version = releases.publish("retrain-3")

    with pytest.raises(
        CouldNotTellError, match="the promotion of v2 is not finished: not every replica has confirmed it"
    ):
        releases.expose("retrain-3", version)
    assert "confirm it with `understudy rollback --model <model> --to 2 --hold none --reason why`" in (
        unfinished(releases.history()) or ""
    )
    releases.journal("retrain-2").decide(lambda h: run_rules.confirm(h, version=half))
    assert (2, 3) == resident(releases.expose("retrain-3", version).state)


def test_giving_up_never_touches_what_has_served(releases: Releases) -> None:
    releases.release("retrain-1")
    version = releases.release("retrain-2")
    releases.release("retrain-3")
    before = releases.history()
    after = releases.journal("retrain-2").decide(
        lambda h: run_rules.decline_candidate(h, version=version, run_key="retrain-2", reason="late")
    )

    assert before == after


def test_a_run_takes_nothing_back_that_a_person_is_rolling_back_to(releases: Releases) -> None:
    releases.release("retrain-1")
    version = half_promoted(releases, "retrain-2")
    releases.roll_back(1, "rollback-3")
    releases.journal("rollback-4").decide(
        lambda h: next_step(h, request=releases.request("rollback-4", "2"), target=2, loaded=False)
    )

    with pytest.raises(DeclinedError, match="ann has made another decision about v2"):
        run_rules.withdraw(releases.history(), version=version, run_key="retrain-2", reason="late", verdict=None)


def test_only_the_first_release_may_be_taken_back_to_nothing(releases: Releases) -> None:
    releases.release("retrain-1")
    version = half_promoted(releases, "retrain-2")
    history = releases.history()
    last = history.all()[-1]
    alone = last.model_copy(update={"state": last.state.model_copy(update={"previous": None})})

    with pytest.raises(
        CouldNotTellError,
        match=r"no version to return to is recorded as previous\. Good versions: v1\. Run `understudy rollback ",
    ):
        run_rules.undo_promotion(
            History((*history.all()[:-1], alone)), version=version, run_key="retrain-2", reason="late"
        )


def test_an_older_version_that_a_newer_roll_back_does_not_wait_for_stays_good(releases: Releases) -> None:
    """Rules before 2026-12 let a version leave also where that was older than what took its place."""
    for key in ("retrain-1", "retrain-2", "retrain-3"):
        releases.release(key)
    history = releases.roll_back(1, "rollback-4")
    leaving = history.state.model_copy(update={"serving": 3, "previous": 2, "leaving": 1})
    releases.journal("rollback-5").decide(lambda _: Change(Event.ROLLED_BACK, 3, "not that bad", leaving))
    newer = releases.journal("rollback-6").decide(
        lambda h: next_step(h, request=releases.request("rollback-6", "2"), target=2, loaded=False)
    )

    assert (Event.RELEASED, 1) == (newer.all()[-1].event, newer.all()[-1].version)
    assert newer.was_good(1)


@pytest.mark.parametrize(
    ("then", "told"),
    [
        (None, "ann has made another decision about v2"),
        (Change(Event.CONFIRMED, 3, "every replica answers", State(serving=3, previous=1)), "promoted and confirmed"),
        (
            Change(Event.PINNED, 3, "an incident", State(serving=3, previous=1, pinned=3)),
            "made another decision about v2",
        ),
    ],
)
def test_what_was_decided_about_a_model_under_another_number_counts(
    releases: Releases, then: Change | None, told: str
) -> None:
    """No rule gives a half-way promotion another number; a journal may hold one all the same."""
    releases.release("retrain-1")
    releases.expose("retrain-2", releases.publish("retrain-2"))
    releases.promote("retrain-2", 2)
    stuck = Change(Event.REISSUED, 3, "a replica is stuck", State(serving=3, previous=1, next_version=4), copy_of=2)
    for change in filter(None, (stuck, then)):
        releases.journal("reconcile-4").decide(lambda _, change=change: change)  # type: ignore[misc]

    with pytest.raises(DeclinedError, match=told):
        releases.journal("retrain-2").decide(
            lambda h: run_rules.withdraw(h, version=2, run_key="retrain-2", reason="bad", verdict=None)
        )


def test_an_older_roll_back_does_not_give_up_a_newer_one(releases: Releases) -> None:
    for key in ("retrain-1", "retrain-2", "retrain-3"):
        releases.release(key)
    older = releases.request("rollback-4", "2")
    releases.roll_back(2, "rollback-4")
    newer = releases.journal("rollback-7").decide(
        lambda h: next_step(h, request=releases.request("rollback-7", "3"), target=3, loaded=False)
    )

    assert 3 == newer.state.candidate
    assert next_step(newer, request=older, target=2, loaded=True) is None
    given_up = next_step(newer, request=releases.request("rollback-8", "2"), target=2, loaded=True)
    assert given_up is not None
    assert Event.RELEASED is given_up.event


@pytest.mark.parametrize("to", ["previous", "2"])
def test_a_wish_older_than_a_promotion_is_declined(releases: Releases, to: str) -> None:
    for key in ("retrain-1", "retrain-2", "retrain-3"):
        releases.release(key)
    asked = releases.request("rollback-4", to)
    releases.release("retrain-5")

    with pytest.raises(DeclinedError, match="v4 serves since"):
        next_step(releases.history(), request=asked, target=2, loaded=True)


def test_what_leaves_is_let_go_only_by_the_decision_it_belongs_to(releases: Releases) -> None:
    for key in ("retrain-1", "retrain-2", "retrain-3"):
        releases.release(key)
    releases.roll_back(2, "rollback-4")
    history = releases.journal("rollback-5").decide(
        lambda h: next_step(h, request=releases.request("rollback-5", "1"), target=1, loaded=True)
    )

    assert (1, 2) == (history.state.serving, history.state.leaving)
    with pytest.raises(
        DeclinedError, match=r"moved traffic to v2, and then another command moved it again\. v1 serves"
    ):
        remove_leaving(history, target=2, reason="bad")


class TestPrevious:
    """The version that served before this one, whatever the numbers are."""

    @pytest.fixture
    def four(self, releases: Releases) -> Releases:
        for number in range(1, 5):
            releases.release(f"retrain-{number}")
        return releases

    def test_after_a_roll_back_was_undone_it_is_what_the_roll_back_went_to(self, four: Releases) -> None:
        four.roll_back(1, "rollback-5")
        history = four.roll_back(4, "rollback-6")

        assert (4, 1, None) == (history.state.serving, history.state.previous, history.state.leaving)
        assert {1, 4} == set(resident(history.state))
        assert [1, 3, 2] == list(targets_of(history, four.request("rollback-7", "previous")))

    def test_a_roll_back_by_number_passes_over_good_versions_which_are_the_way_back_then(self, four: Releases) -> None:
        history = four.roll_back(2, "rollback-5")
        assert (2, 3) == (history.state.serving, history.state.previous), "v4 is withdrawn"

        history = four.roll_back(3, "rollback-6")
        assert (3, 2) == (history.state.serving, history.state.previous)

    def test_a_release_after_a_roll_back_has_what_it_followed_behind_it(self, four: Releases) -> None:
        four.roll_back(2, "rollback-5")
        four.release("retrain-6")
        history = four.roll_back(2, "rollback-7")

        assert (2, 3) == (history.state.serving, history.state.previous), "v4 and v5 are withdrawn"

    def test_retired_versions_are_skipped(self, four: Releases) -> None:
        state = four.history().state
        four.journal("retain-5").decide(lambda _: Change(Event.RETIRED, 2, "old", state, versions=(2,)))
        history = four.roll_back(3, "rollback-6")

        assert (3, 1) == (history.state.serving, history.state.previous)

    def test_the_same_model_under_another_number_is_skipped(self, four: Releases) -> None:
        for number in ("reconcile-5", "reconcile-6"):
            four.journal(number).decide(
                lambda h: run_rules.reissue(h, version=h.state.serving or 0, reason="a replica is stuck")
            )
        history = four.history()

        assert 5 == history.state.serving, "a number of its own is given once"
        assert [3, 2, 1] == list(history.rollback_candidates(5)) == list(history.rollback_candidates(4))

    def test_a_model_comes_under_the_number_that_it_served_with_last(self, four: Releases) -> None:
        four.journal("reconcile-5").decide(lambda h: run_rules.reissue(h, version=4, reason="a replica is stuck"))
        four.release("retrain-6")

        assert [5, 3, 2, 1] == list(four.history().rollback_candidates(6))

    def test_a_half_way_promotion_that_is_undone_goes_back_to_what_served(self, four: Releases) -> None:
        four.roll_back(1, "rollback-5")
        four.roll_back(4, "rollback-6")
        version = four.publish("retrain-7")
        four.expose("retrain-7", version)
        four.promote("retrain-7", version)
        history = four.journal("retrain-7").decide(
            lambda h: run_rules.undo_promotion(h, version=version, run_key="retrain-7", reason="late")
        )

        assert (4, 1) == (history.state.serving, history.state.previous)

    def test_the_same_model_trained_again_is_no_way_back_from_itself_nor_once_it_was_withdrawn(
        self, releases: Releases
    ) -> None:
        """v1 and v3 have one content, as a fixed seed and the same data give."""
        for number, digest in ((1, "a"), (2, "b"), (3, "a")):
            releases.release(f"retrain-{number}", digest)
        assert [2] == list(releases.history().rollback_candidates(3))

        history = releases.roll_back(2, "rollback-4")
        assert (2, None) == (history.state.serving, history.state.previous)
        releases.journal("readmit-5").decide(lambda h: readmission.readmit(h, version=3, reason="it was the camera"))
        assert [1] == list(releases.history().rollback_candidates(2)), "a person has said that the model may come back"
