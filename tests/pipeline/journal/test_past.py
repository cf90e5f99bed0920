"""Checkpoints change no decision: a history answers alike, however many of its entries are known by facts alone."""

import json

import pytest
from hypothesis import Phase, given, settings

from pipeline.journal.checkpoints import Checkpoints
from pipeline.journal.folding import folded
from pipeline.journal.history import History
from pipeline.journal.past import Past, beginning
from pipeline.storage.memory import MemoryBucket
from tests.hunts import hunt_cases
from tests.pipeline.journal.made import Kept, Step, made, steps, summed
from tests.pipeline.journal.questions import all_questions, answers

# Of made-up journals, in parts that can run beside each other.
JOURNALS = 8
PARTS = 8
SHORT = steps(least=4, most=8)
LONG = steps(least=6, most=16)


def differences(expected: dict[str, object], found: dict[str, object]) -> dict[str, tuple[object, object]]:
    """Few enough to read, unlike the answers."""
    return {name: (answer, found[name]) for name, answer in expected.items() if answer != found[name]}


def test_every_public_question_is_asked() -> None:
    asked = {name.partition("(")[0] for name in all_questions(Kept(made([Step("release", 1, 1)])).split(0))}

    assert set() == {name for name in vars(History) if not name.startswith("_")} - asked - {"recent", "past"}


@pytest.mark.parametrize("part", hunt_cases(range(PARTS), in_make_test=[0]))
def test_every_question_is_answered_alike_wherever_the_past_ends(part: int) -> None:
    """Also what the rules say that ask them. `make test` tries every fourth place."""

    @settings(max_examples=JOURNALS, deadline=None, derandomize=part == 0, database=None, phases=[Phase.generate])
    @given(steps=LONG if part else SHORT)
    def check(steps: list[Step]) -> None:
        entries = made(steps)
        kept = Kept(entries)
        questions = all_questions(History(tuple(entries)))
        expected = answers(History(tuple(entries)), questions)
        for seq in range(0, len(entries) + 1, 1 if part else 4):
            assert {} == differences(expected, answers(kept.split(seq), questions)), f"split at {seq}"

    check()


@pytest.mark.parametrize("part", hunt_cases(range(PARTS), in_make_test=[0]))
def test_a_past_is_the_same_bytes_wherever_its_folding_began(part: int) -> None:
    """So two writers make the same checkpoint, and a new one differs from the last only in what is new."""

    @settings(max_examples=JOURNALS, deadline=None, derandomize=part == 0, database=None, phases=[Phase.generate])
    @given(steps=LONG)
    def check(steps: list[Step]) -> None:
        entries = made(steps)
        kept = Kept(entries)
        expected = _bytes(kept.rebuilt(len(entries)))
        for cut in range(len(entries)):
            assert expected == _bytes(folded(kept.rebuilt(cut), summed(entries)[cut:])), f"cut at {cut}"
        step_by_step = beginning(kept)
        for each in summed(entries):
            step_by_step = folded(step_by_step, [each])
        assert expected == _bytes(step_by_step)

    check()


@pytest.mark.parametrize("part", hunt_cases(range(PARTS), in_make_test=[0]))
def test_a_past_from_the_bucket_answers_like_the_entries(part: int) -> None:
    """Stored page by page, each checkpoint from the one before, and read again."""

    @settings(max_examples=JOURNALS, deadline=None, derandomize=part == 0, database=None, phases=[Phase.generate])
    @given(steps=LONG)
    def check(steps: list[Step]) -> None:
        entries = made(steps)
        kept, bucket = Kept(entries), MemoryBucket()
        questions = all_questions(History(tuple(entries)))
        expected = answers(History(tuple(entries)), questions)
        past = beginning(kept)
        for first in range(0, len(entries), 7):
            past = folded(past, summed(entries)[first : first + 7])
            past = _stored(bucket, past, kept)
            history = History(tuple(entries[past.seq :]), past)
            assert {} == differences(expected, answers(history, questions)), f"checkpoint of {past.seq}"
        assert _bytes(kept.rebuilt(len(entries))) == _bytes(past)

    check()


def _stored(bucket: MemoryBucket, past: Past, kept: Kept) -> Past:
    """A past as another process finds it."""
    ((last, digest),) = summed(kept.entries([past.seq]))
    Checkpoints(bucket, "digits").store(past, digest)
    checkpoints = Checkpoints(bucket, "digits")
    found = checkpoints.read(*checkpoints.names()[-1])
    assert (past.seq, digest) == (found.seq, found.sha256)
    return checkpoints.past(found, last, kept)


def _bytes(past: Past) -> object:
    """All that a checkpoint of a past would hold."""
    digests, _ = past.pages.contents()
    return past.seq, past.chain, past.last, json.loads(past.facts.model_dump_json()), dict(sorted(digests.items()))
