"""Which version served when, who or what moved it, and why: the journal for people and for programs."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import TypeVar

from pydantic import BaseModel
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from pipeline.inspection.history_page import Page
from pipeline.journal.entries import Entry
from pipeline.journal.periods import Period

T = TypeVar("T")

MOMENT = "%Y-%m-%d %H:%M:%S"
# A table needs all its rows to choose its widths. A long history is divided into tables of so many rows.
_ROWS = 256


def json_lines(page: Page) -> Iterator[str]:
    """A page for programs, with no text cut: the lines of a JSON object, the newest of each first."""
    yield "{"
    yield f' "model": {json.dumps(page.model)},'
    yield f' "older": {page.older},'
    yield f' "next": {json.dumps(page.next)},'
    yield ' "served": ['
    yield from _items(page.periods)
    yield ' ],\n "entries": ['
    yield from _items(page.entries)
    yield " ]\n}"


def _items(items: Iterable[BaseModel]) -> Iterator[str]:
    waiting = ""
    for item in items:
        if waiting:
            yield f"{waiting},"
        waiting = f"  {json.dumps(item.model_dump(mode='json'))}"
    if waiting:
        yield waiting


def tables(page: Page) -> Iterator[RenderableType]:
    """A page for people: the periods, then the decisions. Long texts end in an ellipsis."""
    for periods in _divided(page.periods):
        yield _what_served(page.model, periods)
        yield ""
    for entries in _divided(page.entries):
        yield _decisions(entries)
    if not page.shown:
        yield "No decisions in this part of the history."
    if page.next is not None:
        yield Text(f"\n{_how_to_see_more(page)}")


def _how_to_see_more(page: Page) -> str:
    part, model = page.selection, page.model
    before = f" before entry {part.before}" if part.before else ""
    return (
        f"{page.shown} of {page.shown + page.older} decisions{before}, the newest first. Older ones: "
        f"`{part.command(model, before=page.next)}`. All: `{replace(part, last=None, before=None).command(model)}`"
    )


def _divided(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while some := list(islice(rest, _ROWS)):
        yield some


def _what_served(model: str, periods: Iterable[Period]) -> Table:
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


def _decisions(entries: Iterable[Entry]) -> Table:
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
