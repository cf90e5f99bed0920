"""Pages of a history: which part is shown, how the next one is found, and that a long history is not read."""

import inspect
import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bench.retention import LONG_AGO
from pipeline.cli.history import history_command
from pipeline.errors import BadInputError
from pipeline.inspection.history import json_lines, tables
from pipeline.inspection.history_page import SHOWN, Page, Selection, page_of
from pipeline.journal.history import History
from pipeline.journal.journal import Journal
from pipeline.moments import past_moment
from tests.counted_bucket import as_bucket, counted, long_journal
from tests.pipeline.cli.in_process import Done, command
from tests.pipeline.journal.test_journal import Releases
from tests.releases import MODEL, NO_MLFLOW

NOW = datetime(2026, 12, 24, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def long() -> History:
    """400 releases, and one freeze."""
    return Journal(long_journal(2000), MODEL).read()


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    """v1, v2 and v3 have served, and v1 again: 19 entries."""
    made = Releases(tmp_path / "bucket")
    for number in (1, 2, 3):
        made.release(f"retrain-{number}")
    made.roll_back(1, "rollback-4")
    return made


@pytest.fixture
def ask(releases: Releases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Ask":
    monkeypatch.setenv("UNDERSTUDY_ROOT", str(tmp_path / "bucket"))
    monkeypatch.setenv("UNDERSTUDY_MLFLOW_URL", NO_MLFLOW)
    return Ask(monkeypatch)


class Ask:
    """`understudy history --model digits` with more words."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def __call__(self, *words: str) -> Done:
        return command(self._monkeypatch, "history", "--model", MODEL, *words)


def seqs(page: Page) -> list[int]:
    return [entry.seq for entry in page.entries]


def served(page: Page) -> list[int]:
    return [period.version for period in page.periods]


def test_the_newest_twenty_of_each_come_first(long: History) -> None:
    page = page_of(MODEL, long, Selection())

    assert list(range(2000, 1980, -1)) == seqs(page)
    assert list(range(400, 380, -1)) == served(page)
    assert (1980, 1981) == (page.older, page.next)


def test_page_after_page_shows_every_decision_once(long: History) -> None:
    found, before = list[int](), None
    while before is not None or not found:
        page = page_of(MODEL, long, Selection(last=300, before=before))
        found += seqs(page)
        before = page.next

    assert list(range(2000, 0, -1)) == found


def test_a_period_of_an_older_page_ends_where_the_next_one_began(long: History) -> None:
    """...also if that is on the page before."""
    (period,) = page_of(MODEL, long, Selection(last=1, before=500)).periods

    assert (100, LONG_AGO + timedelta(seconds=499)) == (period.version, period.since)
    assert LONG_AGO + timedelta(seconds=504) == period.until
    assert period.confirmed == LONG_AGO + timedelta(seconds=500)


def test_since_a_moment_begins_with_the_decision_of_that_moment(long: History) -> None:
    """...and with the version that served then."""
    page = page_of(MODEL, long, Selection(last=None, since=LONG_AGO + timedelta(seconds=1990)))

    assert list(range(2000, 1989, -1)) == seqs(page)
    assert [400, 399, 398] == served(page)
    assert 0 == page_of(MODEL, long, Selection(since=datetime(9000, 1, 1, tzinfo=UTC))).shown
    assert 2000 == page_of(MODEL, long, Selection(since=datetime(1, 1, 1, tzinfo=UTC))).older + 20


def test_of_a_version_there_is_what_is_about_it_and_its_periods(releases: Releases) -> None:
    page = page_of(MODEL, releases.history(), Selection(version=1))
    entries = list(page.entries)

    assert all(1 in entry.about for entry in entries)
    assert ["confirmed", "rolled back"] == [entry.event for entry in entries[:2]]
    assert [(1, True), (1, False)] == [(period.version, period.until is None) for period in page.periods]
    assert len(entries) - 2 == page_of(MODEL, releases.history(), Selection(version=1, last=2)).older


def test_a_version_that_the_journal_does_not_contain_is_refused(releases: Releases) -> None:
    with pytest.raises(BadInputError, match=r"does not contain v9\. The newest one is v3\. Correct --version"):
        page_of(MODEL, releases.history(), Selection(version=9))


@pytest.mark.parametrize(
    "selection",
    [Selection(), Selection(before=35), Selection(version=3), Selection(last=5, since=LONG_AGO + timedelta(seconds=9))],
)
def test_a_page_of_a_long_history_takes_as_many_calls(selection: Selection) -> None:
    """Pages of facts differ by a few, and so does the search for a moment: it doubles with the square of the length."""
    calls, entries = [], []
    for length in (60, 2000):
        bucket = counted(long_journal(length))
        page_of(MODEL, Journal(as_bucket(bucket), MODEL).read(), selection)
        calls.append(bucket.calls.total())
        entries.append(bucket.entries)

    assert calls[1] <= calls[0] + 8, calls
    assert max(entries) < 100


def test_all_of_a_long_history_is_printed_while_it_is_read(long: History) -> None:
    """At no time are all entries in memory: they take 12 MB here."""
    tracemalloc.start()
    lines = sum(text.count("\n") + 1 for text in json_lines(page_of(MODEL, long, Selection(last=None))))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 2000 + 400 < lines < 2500
    assert peak < 6e6


def test_long_tables_are_divided(long: History) -> None:
    shown = [part for part in tables(page_of(MODEL, long, Selection(last=None))) if part != ""]

    assert 2 + 8 == len(shown), "400 periods and 2,000 decisions, at most 256 in each table"


def test_people_see_the_command_for_the_next_page_and_for_all(ask: Ask) -> None:
    out = ask("--last", "2").out

    assert (
        "2 of 19 decisions, the newest first. Older ones: `understudy history --model digits --last 2 --before 18`. "
        "All: `understudy history --model digits --all`"
    ) in " ".join(out.split())
    assert "Older ones" not in ask("--all").out
    assert "Older ones" not in ask("--last", "19").out


def test_of_a_later_page_its_beginning_is_named(ask: Ask) -> None:
    out = ask("--last", "2", "--before", "18").out

    assert "2 of 17 decisions before entry 18, the newest first. Older ones:" in " ".join(out.split())


def test_the_next_page_is_of_the_same_part(ask: Ask) -> None:
    out = ask("--last", "1", "--version", "v1", "--since", "2020-01-01T00:00+01:00").out

    assert (
        "`understudy history --model digits --since 2019-12-31T23:00:00+00:00 --version 1 --last 1 --before 19`"
        in " ".join(out.split())
    )


@pytest.mark.parametrize(
    ("words", "selection"),
    [
        ((), Selection()),
        (("--last", "3"), Selection(last=3)),
        (("--version", "v2"), Selection(version=2)),
        (("--all", "--before", "7"), Selection(last=None, before=7)),
        (("--since", "2020-01-01"), Selection(since=datetime(2020, 1, 1, tzinfo=UTC))),
        (("--before", "1"), Selection(before=1)),
    ],
)
def test_programs_get_the_same_page(ask: Ask, releases: Releases, words: tuple[str, ...], selection: Selection) -> None:
    found = json.loads(ask(*words, "--json").out)
    page = page_of(MODEL, releases.history(), selection)

    assert seqs(page) == [entry["seq"] for entry in found["entries"]]
    assert served(page) == [period["version"] for period in found["served"]]
    assert (page.next, page.older) == (found["next"], found["older"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--since", "yesterday"), "'yesterday' is not a date, a time or a duration. Examples: 2026-12-24"),
        (("--version", "latest"), "'latest' is not a version number. Give --version a number, for example 4 or v4"),
        (("--version", "99"), "does not contain v99. The newest one is v3"),
        (("--all", "--last", "3"), "--all shows everything, and --last a part of it. Leave one of them out"),
        (("--verify", "--last", "3", "--all"), "--verify checks all entries. Leave --last, --all out"),
    ],
)
def test_what_cannot_be_is_refused(ask: Ask, words: tuple[str, ...], message: str) -> None:
    done = ask(*words)

    assert (1, "") == (done.code, done.out)
    assert message in done.err
    assert "Traceback" not in done.err


def test_before_the_first_entry_there_is_nothing(ask: Ask) -> None:
    assert "No decisions in this part of the history." in ask("--before", "1").out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3d", NOW - timedelta(days=3)),
        (" 90m ", NOW - timedelta(minutes=90)),
        ("2026-12-01", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026-12-01T08:00+02:00", datetime(2026, 12, 1, 6, tzinfo=UTC)),
    ],
)
def test_a_duration_is_before_now(text: str, expected: datetime) -> None:
    assert expected == past_moment(text, now=NOW)


@pytest.mark.parametrize("text", ["", "3x", "800000d", "99999999999d", "0001-01-01T00:00+14:00"])
def test_what_is_no_moment_is_bad_input(text: str) -> None:
    with pytest.raises(BadInputError, match="3d"):
        past_moment(text, now=NOW)


def test_a_moment_to_come_is_bad_input() -> None:
    with pytest.raises(BadInputError, match=r"'2999-01-01' is in the future\. Give --since a moment that has passed"):
        past_moment("2999-01-01", now=NOW)


def test_the_help_says_how_many_are_shown() -> None:
    (option,) = inspect.signature(history_command).parameters["last"].annotation.__metadata__

    assert f"the newest N periods and decisions; {SHOWN} if not given" == option.help
