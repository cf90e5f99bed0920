"""Pieces of HTML for the page of a data report: text, names, paths, tables.

Paths and labels are text that somebody else has written. All text goes through `html.escape`, and characters that
cannot be printed, or that change the direction of the text, are shown as their code.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

# More rows than this are folded, so that what comes after them is found.
_UNFOLDED = 50

# Of each kind in `remarks.csv`. The manifest has the status, the look and the note of every image.
LISTED_REMARKS = 10_000


@dataclass
class FirstRows:
    """The first rows of a long list, path and reason, and how many there are."""

    most: int
    shown: list[tuple[str, str]]
    count: int = 0

    @classmethod
    def of(cls, most: int) -> "FirstRows":
        return cls(most, [])

    def add(self, path: str, reason: str) -> None:
        self.count += 1
        if len(self.shown) < self.most:
            self.shown.append((path, reason))


def on_one_line(content: str) -> str:
    """The text on one line; a character that cannot be printed, or that controls others, as its code."""
    if content.isprintable():
        return content
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in content)


def text(content: str) -> str:
    """Text that somebody else has written, for HTML."""
    return escape(on_one_line(content))


def as_name(content: str) -> str:
    """A label or a model. Where two that differ can look the same, its characters follow: `cat ` and `cat`."""
    if not content:
        return '<span class="soft">(empty)</span>'
    code = ""
    if not unicodedata.is_normalized("NFC", content):
        code = ascii(content)
    elif content != content.strip():
        code = repr(content)
    that_is = f' <span class="soft">(that is {text(code)})</span>' if code else ""
    return f"<bdi>{text(content)}</bdi>{that_is}"


def as_path(content: str) -> str:
    return f"<code><bdi>{text(content)}</bdi></code>"


def rest_of(listed: FirstRows, file: str, *, most: int | None = None) -> str:
    """A sentence that says where the rest is; empty if there is no rest.

    Args:
        listed: the rows.
        file: the CSV file that has more of them.
        most: how many rows the file has at most; None: all.
    """
    if listed.count == len(listed.shown):
        return ""
    has_all = most is None or listed.count <= most
    what = "All of them are" if has_all else f"The first {most:,} are"
    rest = "" if has_all else " The manifest of the snapshot has all."
    return f'<p>The first {len(listed.shown):,}. {what} in <a href="{file}">{file}</a>.{rest}</p>'


def listing(listed: FirstRows) -> str:
    rows = [
        f'<tr><th scope="row" class="path">{as_path(path)}</th><td class="reason">{text(reason)}</td></tr>\n'
        for path, reason in listed.shown
    ]
    return folded(("Path", "Reason"), rows, label="Paths and reasons")


def folded(headings: Sequence[str], rows: Sequence[str], *, label: str) -> str:
    """A table, of which only the first rows are shown until the others are wanted."""
    first, others = rows[:_UNFOLDED], rows[_UNFOLDED:]
    shown = html_table(headings, first, label=label)
    if not others:
        return shown
    rest = html_table(headings, others, label=f"{label}, continued")
    return f"{shown}<details><summary>{len(others):,} more</summary>{rest}</details>"


def html_table(headings: Iterable[str], rows: Iterable[str], *, label: str) -> str:
    """`headings` that begin with `#` are above numbers."""
    cells = "".join(
        f'<th scope="col" class="number">{each[1:]}</th>' if each.startswith("#") else f'<th scope="col">{each}</th>'
        for each in headings
    )
    # It can be scrolled with the keyboard because it can have the focus.
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{label}"><table><thead><tr>{cells}</tr></thead>'
        f"<tbody>\n{''.join(rows)}</tbody></table></div>"
    )
