"""Which version served when, who or what moved it, and why: the journal for people and for programs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from rich.console import Group
from rich.table import Table
from rich.text import Text

from pipeline.journal.entries import Entry
from pipeline.journal.history import History
from pipeline.journal.periods import Period, served

T = TypeVar("T")

MOMENT = "%Y-%m-%d %H:%M:%S"


def as_json(model: str, history: History, *, last: int | None = None) -> dict[str, Any]:
    """The same for programs, with no text cut: the newest `last` periods and decisions, or all of them."""
    return {
        "model": model,
        "served": [period.model_dump(mode="json") for period in _newest(list(served(history))[::-1], last)],
        "entries": [entry.model_dump(mode="json") for entry in _newest(history.all(), last)],
    }


def tables(model: str, history: History, *, last: int | None = None) -> Group:
    """The periods, then the decisions, each the newest `last` or all. Long texts end in an ellipsis."""
    periods, entries = list(served(history))[::-1], history.all()
    newest = _newest(periods, last), _newest(entries, last)
    parts: list[Table | str] = [_what_served(model, newest[0]), "", _decisions(newest[1])]
    if len(newest[1]) < len(entries):
        shown = f"{len(newest[0])} of {len(periods)} periods and {len(newest[1])} of {len(entries)} decisions"
        parts.append(f"\nThe newest {shown}. To see all: `understudy history --model {model} --last {len(entries)}`")
    return Group(*parts)


def _newest(items: Sequence[T], last: int | None) -> Sequence[T]:
    return items if last is None else items[-last:]


def _what_served(model: str, periods: Sequence[Period]) -> Table:
    view = _table(f"What served as {model} (UTC)", "version", "from, to", "changed by", "why, verdict")
    for period in periods:
        until = f"{period.until:{MOMENT}}" if period.until else "now"
        view.add_row(
            f"v{period.version}",
            _lines(f"{period.since:{MOMENT}}", f"to {until}", _confirmed(period.since, period.confirmed)),
            _lines(period.event, period.actor, period.run_key),
            _lines(period.reason, period.verdict),
        )
    return view


def _decisions(entries: Sequence[Entry]) -> Table:
    view = _table("Decisions (UTC)", "entry", "what, when", "by", "why, verdict, state after it")
    for entry in entries:
        view.add_row(
            str(entry.seq),
            _lines(entry.description, f"{entry.at:{MOMENT}}"),
            _lines(entry.actor, entry.run_key),
            _lines(entry.reason, _verdict(entry), str(entry.state)),
        )
    return view


def _table(title: str, *columns: str) -> Table:
    """A table whose last two columns become narrower on a narrow terminal."""
    view = Table(title=title, title_justify="left", show_lines=True, show_edge=False)
    for column in columns[:-2]:
        view.add_column(column, no_wrap=True)
    for column in columns[-2:]:
        view.add_column(column)
    return view


def visible(text: str) -> str:
    """A text as one line of printable characters. What a person typed cannot control the terminal."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _lines(*texts: str | None) -> Text:
    """The texts, one on each line, without repetitions."""
    lines = [visible(text) for text in dict.fromkeys(texts) if text]
    return Text("\n".join(lines), no_wrap=True, overflow="ellipsis")


def _confirmed(since: datetime, confirmed: datetime | None) -> str | None:
    return f"confirmed in {(confirmed - since).total_seconds():.1f} s" if confirmed else None


def _verdict(entry: Entry) -> str | None:
    return str(entry.verdict) if entry.verdict else None
