"""The report about the images of a snapshot: one HTML page for people, and CSV files with all that it lists in part.

index.html          the verdict, figures, classes, and the first of everything below
classes.csv         every class
problems.csv        every file that cannot be used, and why
remarks.csv         files that can be used and are worth a look, and why: the first 10,000 of each kind
label_errors.csv    every suspected label error
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipeline.data.report.class_rows import class_rows
from pipeline.data.report.html import LISTED_REMARKS, FirstRows
from pipeline.data.report.page import page
from pipeline.verdicts.measurements import DataSummary, LabelErrors
from pipeline.verdicts.verdict import Verdict

PAGE = "index.html"
# What the page shows of one list. The CSV files have all of it.
SHOWN_PROBLEMS = 1000
SHOWN_REMARKS = 200

# A spreadsheet takes a cell that begins so for a formula: https://owasp.org/www-community/attacks/CSV_Injection.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True)
class DataReport:
    """All that a report says.

    Attributes:
        model: the name of the model.
        made_at: when the images were listed, in UTC.
        address: where they are.
        digest: of the data set, see `SnapshotRecord`.
        found: the figures.
        previous: those of the snapshot before; None if there is none.
        verdict: the decision, with its reasons.
        problems: path and reason of each file that cannot be used. Read once, one by one.
        problem_count: how many there are.
        remarks: kind, path and reason of each file that can be used and is worth a look: `left out`,
            `near-duplicate`, `duplicate`, `blank`, `tiny`, `converted`. Read once, one by one.
        suspects: suspected label errors; None if they were not looked for.
    """

    model: str
    made_at: datetime
    address: str
    digest: str
    found: DataSummary
    previous: DataSummary | None
    verdict: Verdict
    problems: Iterable[tuple[str, str]]
    problem_count: int
    remarks: Iterable[tuple[str, str, str]]
    suspects: LabelErrors | None


def write_report(folder: Path, report: DataReport) -> None:
    """Write the page and the CSV files into a folder, which is made if it does not exist.

    Memory does not grow with the number of problems and remarks. A report that is there is replaced.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    problems = FirstRows.of(SHOWN_PROBLEMS)
    remarks: dict[str, FirstRows] = {}
    _write(folder / "problems.csv", ("path", "reason"), _noted(report.problems, problems))
    _write(folder / "remarks.csv", ("kind", "path", "reason"), _noted_by_kind(report.remarks, remarks))
    rows = class_rows(report.found, report.previous)
    _write(
        folder / "classes.csv",
        ("label", "images", "train", "validation", "holdout", "images_before"),
        ((row.label, row.images, row.train, row.validation, row.holdout, _cell(row.before)) for row in rows),
    )
    _write(
        folder / "label_errors.csv",
        ("path", "label", "suggested", "probability", "probability_of_label"),
        (
            (each.path, each.label, each.suggested, f"{each.probability:.4f}", f"{each.given_probability:.4f}")
            for each in (report.suspects.suspects if report.suspects else ())
        ),
    )
    written = page(report, rows=rows, problems=problems, remarks=remarks)
    (folder / PAGE).write_text(written, encoding="utf-8", errors="backslashreplace", newline="\n")


def _noted(pairs: Iterable[tuple[str, str]], noted: FirstRows) -> Iterator[tuple[str, str]]:
    """The same again; the first ones are kept for the page."""
    for pair in pairs:
        noted.add(*pair)
        yield pair


def _noted_by_kind(
    remarks: Iterable[tuple[str, str, str]], noted: dict[str, FirstRows]
) -> Iterator[tuple[str, str, str]]:
    """The first of each kind; all are counted. A run keeps its report, and every image may be a converted one."""
    for kind, path, reason in remarks:
        of_kind = noted.setdefault(kind, FirstRows.of(SHOWN_REMARKS))
        of_kind.add(path, reason)
        if of_kind.count <= LISTED_REMARKS:
            yield kind, path, reason


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[str | int]]) -> None:
    # On Linux a name may be any bytes, which no encoding of a text has.
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows([_safe(cell) for cell in row] for row in rows)


def _safe(cell: str | int) -> str:
    text = str(cell)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _cell(count: int | None) -> str:
    return "" if count is None else str(count)
