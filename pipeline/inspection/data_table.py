"""The report about the images of a model for a terminal. The verdict is last: that is where people look."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipeline.data.report.class_rows import ClassRow, class_rows
from pipeline.data.report.data_report import DataReport
from pipeline.data.report.html import on_one_line
from pipeline.verdicts.measurements import DataSummary
from pipeline.verdicts.verdict import Decision, Verdict

# Of the classes, as many of the most frequent and of the rarest ones as fit on a screen.
_CLASSES = 10


def report_table(report: DataReport, *, most: int = 50) -> Group:
    """The report for a terminal: classes, figures, the first `most` unusable files, and the verdict.

    The streams of the report are read to their end, one by one.
    """
    parts: list[RenderableType] = [
        Text(on_one_line(f"Images of {report.model} in {report.address}")),
        _classes(class_rows(report.found, report.previous)),
        _figures(report.found),
        *_remarks(report.remarks),
        *_problems(report, most),
        *_verdict(report.verdict),
    ]
    return Group(*parts)


def _classes(rows: Sequence[ClassRow]) -> Table:
    is_compared = any(row.before is not None for row in rows)
    table = _table("class")
    for heading in ("images", "train", "validation", "held out", *(["change"] if is_compared else [])):
        table.add_column(heading, justify="right")
    if len(rows) <= 2 * _CLASSES:
        _add(table, rows, is_compared=is_compared)
        return table
    _add(table, rows[:_CLASSES], is_compared=is_compared)
    table.add_row(f"... {len(rows) - 2 * _CLASSES:,} more ...")
    _add(table, rows[-_CLASSES:], is_compared=is_compared)
    return table


def _add(table: Table, rows: Sequence[ClassRow], *, is_compared: bool) -> None:
    for row in rows:
        counts = (f"{count:,}" for count in (row.images, row.train, row.validation, row.holdout))
        table.add_row(Text(on_one_line(row.label)), *counts, *([row.change] if is_compared else []))


def _figures(found: DataSummary) -> Text:
    figures = {
        "files": found.files,
        "images": found.images(),
        "classes": len(found.counts),
        "unusable": found.unusable,
        "duplicates": found.duplicates,
        "near-duplicates": found.near_duplicates,
        "left out": found.left_out,
        "converted": found.converted,
        "blank": found.blank,
        "tiny": found.tiny,
    }
    return Text(", ".join(f"{name} {count:,}" for name, count in figures.items() if count))


def _remarks(remarks: Iterable[tuple[str, str, str]]) -> list[RenderableType]:
    """The first of each kind, with their number. The HTML page has more of them."""
    counts: Counter[str] = Counter()
    first: dict[str, tuple[str, str]] = {}
    for kind, path, reason in remarks:
        counts[kind] += 1
        first.setdefault(kind, (path, reason))
    if not counts:
        return []
    table = _table("usable, and worth a look", "files", "for example")
    for kind, count in counts.items():
        table.add_row(kind, f"{count:,}", Text(on_one_line(" ".join(first[kind]))))
    return [table]


def _problems(report: DataReport, most: int) -> list[RenderableType]:
    shown = list(islice(report.problems, most))
    if not shown:
        return []
    table = _table("unusable file", "why")
    for path, reason in shown:
        table.add_row(Text(on_one_line(path), overflow="fold"), Text(on_one_line(reason)))
    rest = report.problem_count - len(shown)
    return [
        table,
        *([Text(f"and {rest:,} more unusable files: `--report FOLDER` lists all of them")] if rest > 0 else []),
    ]


def _verdict(verdict: Verdict) -> list[RenderableType]:
    is_passed = verdict.decision is Decision.PASS
    title = Text("Passed" if is_passed else "Refused", style="bold green" if is_passed else "bold red")
    return [title, *(Text(f"  {on_one_line(reason)}") for reason in verdict.reasons)]


def _table(*headings: str) -> Table:
    return Table(*headings, show_edge=False, title_justify="left", padding=(0, 1))
