"""The figures and the classes on the page of a data report."""

from collections.abc import Callable, Sequence

from pipeline.data.report.class_rows import ClassRow
from pipeline.data.report.html import as_name, html_table
from pipeline.first_few import first_few
from pipeline.verdicts.measurements import DataSummary

# With more classes than this, the page begins with some of them, and the others are folded.
_MOST_CLASSES = 60
_MOST_FREQUENT, _RAREST = 10, 20
_SHOWN_NAMES = 50

_UNUSABLE = "unusable files"
_FIGURES: dict[str, Callable[[DataSummary], int]] = {
    "images": lambda found: found.images(),
    "classes": lambda found: len(found.counts),
    "to train": lambda found: found.images("train"),
    "to validate": lambda found: found.images("validation"),
    "held out": lambda found: found.images("holdout"),
    "files": lambda found: found.files,
    _UNUSABLE: lambda found: found.unusable,
    "duplicates": lambda found: found.duplicates,
    "near-duplicates": lambda found: found.near_duplicates,
    "left out": lambda found: found.left_out,
    "converted": lambda found: found.converted,
    "blank": lambda found: found.blank,
    "tiny": lambda found: found.tiny,
}


def figures(found: DataSummary, previous: DataSummary | None) -> str:
    cards = [
        _card(title, value(found), None if previous is None else value(previous)) for title, value in _FIGURES.items()
    ]
    cards.append(f"<div><dt>imbalance</dt><dd>{found.imbalance():.4g}</dd></div>")
    note = "" if previous is None else '<p class="soft">Small numbers: change since the last snapshot.</p>'
    return f'{note}<dl class="figures">{"".join(cards)}</dl>'


def _card(title: str, now: int, before: int | None) -> str:
    change = f" <small>{now - before:+,}</small>" if before is not None and now != before else ""
    bad = ' class="bad"' if title == _UNUSABLE and now else ""
    return f"<div{bad}><dt>{title}</dt><dd>{now:,}{change}</dd></div>"


def classes(rows: Sequence[ClassRow]) -> str:
    legend = "".join(
        f'<span class="key {kind}"></span>{name}'
        for kind, name in (("train", "train"), ("validation", "validation"), ("holdout", "held out"))
    )
    content = f'{_named_changes(rows)}<p class="soft" aria-hidden="true">{legend}</p>'
    if len(rows) <= _MOST_CLASSES:
        return content + _class_table(rows, rows, "All classes")
    present = [row for row in rows if not row.has_vanished]
    frequent, rarest = present[:_MOST_FREQUENT], present[-_RAREST:][::-1]
    return (
        f"{content}<h3>The {len(frequent)} most frequent</h3>{_class_table(frequent, rows, 'Most frequent classes')}"
        f"<h3>The {len(rarest)} rarest</h3>{_class_table(rarest, rows, 'Rarest classes')}"
        f"<details><summary>All {len(rows):,} classes, which are also in classes.csv</summary>"
        f"{_class_table(rows, rows, 'All classes')}</details>"
    )


def _named_changes(rows: Sequence[ClassRow]) -> str:
    vanished = [row.label for row in rows if row.has_vanished]
    new = [row.label for row in rows if row.is_new]
    return "".join(
        f'<p><strong class="{kind}">{title} ({len(labels):,}):</strong> {_names(labels)}</p>'
        for kind, title, labels in (("gone", "Vanished classes", vanished), ("new", "New classes", new))
        if labels
    )


def _names(labels: Sequence[str]) -> str:
    return first_few(labels, _SHOWN_NAMES, shown=as_name)


def _class_table(rows: Sequence[ClassRow], all_rows: Sequence[ClassRow], label: str) -> str:
    most = max((row.images for row in all_rows), default=0)
    is_compared = any(row.before is not None for row in rows)
    headings = ["Class", "", "#Images", "#Train", "#Validation", "#Held out", *(["#Change"] if is_compared else [])]
    return html_table(headings, (_class_row(row, most=most, is_compared=is_compared) for row in rows), label=label)


def _class_row(row: ClassRow, *, most: int, is_compared: bool) -> str:
    numbers = "".join(
        f'<td class="number">{count:,}</td>' for count in (row.images, row.train, row.validation, row.holdout)
    )
    kind = " gone" if row.has_vanished else " new" if row.is_new else ""
    change = f'<td class="number{kind}">{row.change or "-"}</td>' if is_compared else ""
    return (
        f'<tr><th scope="row" class="name">{as_name(row.label)}</th><td class="images">{_bar(row, most)}</td>'
        f"{numbers}{change}</tr>\n"
    )


def _bar(row: ClassRow, most: int) -> str:
    parts = (("train", row.train), ("validation", row.validation), ("holdout", row.holdout))
    spans = "".join(f'<span class="{kind}" style="width:{100 * n / most:.2f}%"></span>' for kind, n in parts if n)
    return f'<div class="bar" aria-hidden="true">{spans}</div>'
