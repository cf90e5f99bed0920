"""What served when, who or what moved it, and why: the journal for people and for programs."""

from datetime import datetime
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from pipeline.release.journal import Entry, History
from pipeline.release.served import Period, served

_MOMENT = "%Y-%m-%d %H:%M:%S"


def as_json(model: str, history: History) -> dict[str, Any]:
    """Everything, with no text cut."""
    return {
        "model": model,
        "served": [period.model_dump(mode="json") for period in served(history)],
        "entries": [entry.model_dump(mode="json") for entry in history.entries],
    }


def tables(model: str, history: History) -> Group:
    """What served, then every decision; long texts end in an ellipsis."""
    return Group(_what_served(model, served(history)), "", _every_decision(history))


def _what_served(model: str, periods: list[Period]) -> Table:
    view = _table(f"What served as {model} (UTC)", "version", "from, to", "moved by", "why, on what verdict")
    for period in periods:
        until = f"{period.until:{_MOMENT}}" if period.until else "now"
        view.add_row(
            f"v{period.version}",
            _lines(f"{period.since:{_MOMENT}}", f"to {until}", _confirmed(period.since, period.confirmed)),
            _lines(period.event, period.actor, period.run_key),
            _lines(period.reason, period.verdict),
        )
    return view


def _every_decision(history: History) -> Table:
    view = _table("Every decision (UTC)", "entry", "what, when", "by", "why, on what verdict, what is so since")
    for entry in history.entries:
        view.add_row(
            str(entry.seq),
            _lines(entry.told, f"{entry.at:{_MOMENT}}"),
            _lines(entry.actor, entry.run_key),
            _lines(entry.reason, _verdict(entry), str(entry.state)),
        )
    return view


def _table(title: str, *columns: str) -> Table:
    """The last two columns give way where the terminal is narrow."""
    view = Table(title=title, title_justify="left", show_lines=True, show_edge=False)
    for column in columns[:-2]:
        view.add_column(column, no_wrap=True)
    for column in columns[-2:]:
        view.add_column(column)
    return view


def visible(text: str) -> str:
    """One line of what can be seen of a text: what a person typed does nothing to a terminal."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _lines(*texts: str | None) -> Text:
    """One line each, none twice."""
    lines = [visible(text) for text in dict.fromkeys(texts) if text]
    return Text("\n".join(lines), no_wrap=True, overflow="ellipsis")


def _confirmed(since: datetime, confirmed: datetime | None) -> str | None:
    return f"confirmed in {(confirmed - since).total_seconds():.1f} s" if confirmed else None


def _verdict(entry: Entry) -> str | None:
    return str(entry.verdict) if entry.verdict else None
