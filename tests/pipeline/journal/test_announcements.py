"""Which changes of what serves are still to be announced."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.journal.announcements import extra_of, unannounced
from pipeline.journal.entries import Event
from pipeline.journal.journal import Journal
from pipeline.rules import run as run_rules
from tests.counted_bucket import as_bucket, counted, long_journal
from tests.pipeline.journal.test_journal import Releases
from tests.releases import MODEL

EVER = datetime(9999, 1, 1, tzinfo=UTC)


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    """v1, v2 and v1 again have served."""
    made = Releases(tmp_path / "bucket")
    made.release("retrain-1")
    made.release("retrain-2")
    made.roll_back(1, "rollback-3")
    return made


def announced(releases: Releases, *events: dict[str, Any], until: datetime = EVER) -> list[dict[str, Any]]:
    return [extra_of(change) for change in unannounced(releases.history(), events, until=until)]


def all_changes(releases: Releases) -> list[dict[str, Any]]:
    """Everything, as somebody saw it who was told each time."""
    told: list[dict[str, Any]] = []
    for seq in range(1, releases.history().seq + 1):
        told += [extra_of(change) for change in unannounced(releases.history().until(seq), told, until=EVER)]
    return told


def test_each_change_is_told_once_with_the_entry_that_made_it(releases: Releases) -> None:
    told = all_changes(releases)

    assert [1, 2, 1] == [each["version"] for each in told]
    assert ["promoted", "promoted", "rolled back"] == [each["event"] for each in told]
    entries = releases.history().all()
    assert all(str(entries[each["entry"] - 1].event) == each["event"] for each in told)
    assert [] == announced(releases, *told)


def test_what_came_after_the_newest_that_was_told_is_waiting(releases: Releases) -> None:
    first, second, third = all_changes(releases)

    assert [second, third] == announced(releases, first)
    assert [third] == announced(releases, second)
    assert [] == announced(releases, third, second)


def test_who_hears_for_the_first_time_is_told_what_serves(releases: Releases) -> None:
    assert [all_changes(releases)[-1]] == announced(releases)


def test_events_of_another_journal_and_older_ones_without_an_entry_do_not_count(releases: Releases) -> None:
    other = {"entry": 99, "version": 7, "at": "2026-01-01T00:00:00+00:00"}
    same_number = all_changes(releases)[0] | {"at": "2026-01-01T00:00:00+00:00"}
    old = {"version": 1, "run_key": "retrain-1"}

    assert [all_changes(releases)[-1]] == announced(releases, other, same_number, old, {})


def test_an_event_of_somebody_else_does_not_count_whatever_its_extra_is(releases: Releases) -> None:
    """Anybody may make one in Airflow's page."""
    second, third = all_changes(releases)[1:]

    assert [third] == announced(releases, {"entry": [2], "at": {"any": 1}}, second)


def test_a_change_that_is_too_young_waits(releases: Releases) -> None:
    third = all_changes(releases)[-1]
    at = datetime.fromisoformat(third["at"])

    assert [] == announced(releases, until=at - timedelta(seconds=1))
    assert [third] == announced(releases, until=at)


def test_before_the_first_release_there_is_nothing_to_tell(tmp_path: Path) -> None:
    made = Releases(tmp_path / "empty")
    made.publish("retrain-1")

    assert [] == announced(made)


def test_that_nothing_serves_any_more_is_a_change(tmp_path: Path) -> None:
    made = Releases(tmp_path / "empty")
    version = made.publish("retrain-1")
    made.expose("retrain-1", version)
    made.promote("retrain-1", version)
    made.journal("retrain-1").decide(
        lambda h: run_rules.withdraw(h, version=version, run_key="retrain-1", reason="bad", verdict=None)
    )

    assert [1, None] == [each["version"] for each in all_changes(made)]


def test_of_a_long_history_only_what_is_announced_is_read() -> None:
    """...whatever extras of others say."""
    strange = [{"entry": entry} for entry in (0, -1, 10**30, True, None, 1.0, "4", [4], {"entry": 4})]
    others = [{"entry": number, "at": "2026-01-01T00:00:00+00:00"} for number in range(1, 100, 10)]
    read = []
    for length in (100, 2000):
        bucket = counted(long_journal(length))
        history = Journal(as_bucket(bucket), MODEL).read()
        begun = bucket.entries
        (newest,) = unannounced(history, [*strange, *others], until=EVER)
        third = history.entries_with([length - 6 - 10])
        waiting = unannounced(history, [*strange, *others, *map(extra_of, third)], until=EVER)
        read.append(bucket.calls.total())

        assert bucket.entries - begun < 12, "the three changes, and the one before them, but none of the others"
        assert (length // 5, Event.PROMOTED) == (newest.version, newest.event)
        assert [length // 5 - 2, length // 5 - 1, length // 5] == [each.version for each in waiting]
    assert read[1] <= read[0] + 6, read
