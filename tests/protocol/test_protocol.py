"""The release protocol against thousands of made-up histories, and proof that the check would notice.

What is checked is in `invariants.py`; what may happen is in `machine.py`.
"""

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from pipeline import layout
from pipeline.deployment import RolloutName
from pipeline.journal import state as transitions
from pipeline.journal.checkpoints import Checkpoint, Checkpoints
from pipeline.journal.entries import Change, Entry
from pipeline.journal.history import History
from pipeline.journal.journal import Journal, JournalWriter
from pipeline.journal.past import Past, Source
from pipeline.journal.state import State, resident
from pipeline.rollout import base_path, config, questioning
from pipeline.rollout.base_path import BasePath
from pipeline.rollout.questioning import Judged
from pipeline.rollout.replicas import Replicas
from pipeline.rollout.rings import Rings
from pipeline.rollout.rollout import Rollout
from pipeline.rollout.wait_result import WaitResult
from pipeline.rollout.waits import Waits
from pipeline.rules import rollback as rollback_rules
from pipeline.rules import run as run_rules
from pipeline.storage.bucket import Bucket
from pipeline.verdicts.verdict import Decision, Verdict
from tests.hunts import hunt, hunt_cases
from tests.protocol.machine import Fleet, LatestFleet, LatestRingFleet, RingFleet
from tests.protocol.world import MODEL, PASS, World

# One of the planted bugs is rare: it is found after a thousand histories.
pytestmark = pytest.mark.timeout(600)

# Of each kind of fleet, in parts that can run beside each other.
HISTORIES = 1200
PARTS = 20
STEPS = 10

CHECKED = settings(
    max_examples=HISTORIES // PARTS,
    stateful_step_count=STEPS,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
# To find a planted bug is enough; to find the shortest history that shows it takes longer.
HUNTED = settings(CHECKED, max_examples=1500, phases=[Phase.generate], derandomize=True, report_multiple_bugs=False)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """A million warnings of replicas that were stopped on purpose."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("part", hunt_cases(range(PARTS), in_make_test=[0]))
@pytest.mark.parametrize("fleet", [Fleet, LatestFleet, RingFleet, LatestRingFleet])
def test_no_history_breaks_an_invariant(fleet: type[Fleet], part: int) -> None:
    """I1 to I6, after every side effect and at rest, in both roll-outs, with and without a first ring.

    The first part are the same histories each time, the others new ones.
    """
    run_state_machine_as_test(fleet, settings=settings(CHECKED, derandomize=part == 0))


def test_it_notices_an_effect_before_its_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    append = JournalWriter._append

    def effect_first(journal: JournalWriter, entry: Entry) -> bool:
        bucket: Bucket = journal._bucket
        base_path = bucket.uri(layout.versions(MODEL))
        text = config.render(model=MODEL, base_path=base_path, state=entry.state, seq=entry.seq)
        bucket.replace(layout.config(MODEL), text.encode(), instead_of=bucket.read(layout.config(MODEL)))
        return append(journal, entry)

    monkeypatch.setattr(JournalWriter, "_append", effect_first)

    with pytest.raises(AssertionError, match="I5: the config renders entry"):
        run_state_machine_as_test(Fleet, settings=HUNTED)


def test_it_notices_a_label_on_a_version_in_the_config_that_first_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A roll-back that moves the label without having loaded its target first."""

    def roll_back(state: State, target: int, **_: object) -> State:
        roles = {"serving": target, "previous": state.serving, "candidate": None, "leaving": None}
        return state.model_copy(update=roles)

    monkeypatch.setattr(rollback_rules, "resident", lambda state: (*resident(state), *range(1, state.next_version)))
    monkeypatch.setattr(transitions, "roll_back", roll_back)
    monkeypatch.setattr(Replicas, "is_loaded_somewhere", lambda *_: True)

    with pytest.raises(AssertionError, match="by the config that first names it"):
        run_state_machine_as_test(Fleet, settings=HUNTED)


@hunt
def test_it_notices_a_way_back_by_the_order_of_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after a roll-back was undone, when what served before is not the good version with the next lower number."""
    monkeypatch.setattr(
        History, "previous_after", lambda history, target: next(iter(history.all_good_before(target)), None)
    )

    with pytest.raises(AssertionError, match=r"v\d+ served before"):
        run_state_machine_as_test(Fleet, settings=HUNTED)


@hunt  # it takes as long as all other planted bugs together
def test_it_notices_a_number_from_a_listing(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more than the highest version there is, though another run may have claimed that and not put anything."""
    claim = run_rules.claim
    buckets: list[Bucket] = []

    def from_a_listing(history: History, **claimed: Any) -> Change | None:
        change = claim(history, **claimed)
        if change is None:
            return None
        listed = [int(name) for name in buckets[0].names(layout.versions(MODEL))]
        return replace(change, version=max(listed, default=0) + 1)

    made = World.__init__

    def remember(world: World, rollout: RolloutName, *, first_ring: bool) -> None:
        made(world, rollout, first_ring=first_ring)
        buckets[:] = [world.bucket]

    monkeypatch.setattr(World, "__init__", remember)
    monkeypatch.setattr(run_rules, "claim", from_a_listing)

    with pytest.raises(AssertionError, match="numbers were claimed in this order"):
        run_state_machine_as_test(Fleet, settings=HUNTED)


@hunt  # rare: it takes the most histories of all
def test_it_notices_a_writer_that_overwrites_a_newer_config(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has read the journal, is overtaken, and writes what it rendered all the same."""

    def write(rollout: Rollout, key: str, content: bytes, *, instead_of: bytes | None, seq: int) -> None:
        del instead_of, seq
        bucket = rollout._bucket
        if not bucket.create(key, content):
            while not bucket.replace(key, content, instead_of=bucket.read(key)):
                pass

    monkeypatch.setattr(Rollout, "_write", write)

    with pytest.raises(AssertionError, match="I3: the config of entry"):
        run_state_machine_as_test(Fleet, settings=HUNTED)


@hunt
def test_it_notices_a_canary_that_passes_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questioning, "judge", lambda *_, **__: Verdict(decision=Decision.PASS, reasons=("why not",)))

    with pytest.raises(AssertionError, match="answers wrongly, and is promoted"):
        run_state_machine_as_test(Fleet, settings=HUNTED)


def test_it_notices_a_confirmation_of_what_nobody_has_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait for the label that returns at once."""
    monkeypatch.setattr(Waits, "followed", lambda *_, **__: WaitResult(ready=("all of them",), pending=()))

    with pytest.raises(AssertionError, match="is confirmed: "):
        run_state_machine_as_test(Fleet, settings=HUNTED)


@hunt
def test_it_notices_a_promotion_over_another_version_than_the_gate_knew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_rules, "_still_serving", lambda *_: None)

    with pytest.raises(AssertionError, match="was compared with"):
        run_state_machine_as_test(Fleet, settings=HUNTED)


def test_it_notices_a_withdrawn_version_that_stays_below_the_base_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers take the highest number, whatever the journal says of it."""
    monkeypatch.setattr(BasePath, "_take_away", lambda *_: None)

    with pytest.raises(AssertionError, match=r"nobody could mend|I3: "):
        run_state_machine_as_test(LatestFleet, settings=HUNTED)


def test_it_notices_a_candidate_left_behind_below_the_base_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its own number is not the highest any more, and would be again once the newer one is withdrawn."""

    def every_number(state: State, **_: bool) -> tuple[int, ...]:
        top = state.candidate if state.candidate is not None else state.serving
        return tuple(range(1, top + 1)) if top is not None else ()

    monkeypatch.setattr(base_path, "below_base_path", every_number)

    with pytest.raises(AssertionError, match=r"I3: servers find"):
        run_state_machine_as_test(LatestFleet, settings=HUNTED)


def test_it_notices_that_a_stale_checkpoint_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of a lost entry: another entry has its number now, and nobody compares their SHA-256."""
    monkeypatch.setattr(Journal, "_is_entry", lambda *_: True)

    with pytest.raises(AssertionError, match=r"checkpoints: "):
        run_state_machine_as_test(Fleet, settings=HUNTED)


def test_it_notices_that_entries_after_a_checkpoint_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from_checkpoint = Journal._from_checkpoint

    def without_them(journal: Journal, **limits: Any) -> History | None:
        history = from_checkpoint(journal, **limits)
        return History((), history.past) if history else None

    monkeypatch.setattr(Journal, "_from_checkpoint", without_them)

    with pytest.raises(AssertionError, match="checkpoints: it ends at"):
        run_state_machine_as_test(Fleet, settings=HUNTED)


def test_it_notices_a_lost_end_that_nobody_sees_beside_a_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint that is newer than the journal stands for the entries that are lost."""
    from_checkpoint, past = Journal._from_checkpoint, Checkpoints.past
    last_entries: dict[str, Entry] = {}

    def remember(checkpoints: Checkpoints, checkpoint: Checkpoint, last: Entry, source: Source) -> Past:
        last_entries[checkpoint.sha256] = last
        return past(checkpoints, checkpoint, last, source)

    def or_what_is_lost(journal: Journal, *, after: int, until: int | None = None) -> History | None:
        known = journal._checkpoints.names(after=max(0, after))
        newest = journal._checkpoints.read(*known[-1]) if known and until is None else None
        lost = newest and newest.sha256 in last_entries and not journal._entries.numbers(after=newest.seq - 1)
        if newest and lost:
            return History((), past(journal._checkpoints, newest, last_entries[newest.sha256], journal))
        return from_checkpoint(journal, after=after, until=until)

    monkeypatch.setattr(Checkpoints, "past", remember)
    monkeypatch.setattr(Journal, "_from_checkpoint", or_what_is_lost)

    with pytest.raises(AssertionError, match=r"lost|checkpoints: |and the journal is at"):
        run_state_machine_as_test(Fleet, settings=HUNTED)


@pytest.mark.parametrize("fleet", [RingFleet, LatestRingFleet])
def test_it_notices_a_ring_that_is_skipped(fleet: type[Fleet], monkeypatch: pytest.MonkeyPatch) -> None:
    expose = run_rules.expose

    def to_all(history: History, *, version: int, compared_with: int | None, **_: bool) -> Change | None:
        return expose(history, version=version, compared_with=compared_with, first_ring_only=False)

    monkeypatch.setattr(run_rules, "expose", to_all)

    with pytest.raises(AssertionError, match="the first ring has not passed that"):
        run_state_machine_as_test(fleet, settings=HUNTED)


@pytest.mark.parametrize("fleet", hunt_cases([RingFleet, LatestRingFleet], in_make_test=[LatestRingFleet]))
def test_it_notices_that_the_rest_is_exposed_after_unknown(fleet: type[Fleet], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its journal says that the first ring has passed, so only the servers show that it has not."""
    prove, changed = Rings._prove_in_ring, Rings._changed

    def goes_on(*args: Any) -> Judged:
        found = prove(*args)
        return replace(found, verdict=PASS) if found.verdict.decision is Decision.UNKNOWN else found

    def goes_on_again(*args: Any) -> Judged | None:
        found = changed(*args)
        return None if found and found.verdict.decision is Decision.UNKNOWN else found

    monkeypatch.setattr(Rings, "_prove_in_ring", goes_on)
    monkeypatch.setattr(Rings, "_changed", goes_on_again)

    with pytest.raises(AssertionError, match=r"ring: v\d+ is exposed everywhere, and"):
        run_state_machine_as_test(fleet, settings=HUNTED)
