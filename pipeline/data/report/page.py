"""The page of a data report: one HTML file without scripts, of which nothing is loaded from elsewhere.

The page forbids scripts, in case one gets in.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.data.report.class_rows import ClassRow
from pipeline.data.report.classes import classes, figures
from pipeline.data.report.html import LISTED_REMARKS, FirstRows, as_name, as_path, folded, listing, rest_of, text
from pipeline.data.report.style import STYLE
from pipeline.verdicts.data_checks import FEWEST_EXAMINED
from pipeline.verdicts.measurements import LabelErrors
from pipeline.verdicts.verdict import Decision, Verdict

if TYPE_CHECKING:
    from pipeline.data.report.data_report import DataReport

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_SHOWN_SUSPECTS = 200

# Each kind of remark: the heading, and what it means for the images. In the order in which people need them.
_KINDS = {
    "left out": ("Left out", "These images can be used, and are in no split."),
    "near-duplicate": ("Near-duplicates", "These images look like an older one, and are in its split."),
    "blank": ("Blank images", "Every pixel is nearly the same. They are used."),
    "tiny": ("Tiny images", "One side is shorter than data.checks.tiny_edge. They are used."),
    "duplicate": ("Duplicates", "The content is that of another file. It counts once."),
    "converted": ("Converted images", "They are stored in another encoding, which the servers decode."),
}


@dataclass(frozen=True)
class _Section:
    anchor: str
    title: str
    content: str


def page(
    report: "DataReport", *, rows: Sequence[ClassRow], problems: FirstRows, remarks: Mapping[str, FirstRows]
) -> str:
    """The whole page.

    Args:
        report: the streams of it are not read.
        rows: its classes.
        problems: the first files that cannot be used.
        remarks: the first remarks of each kind.
    """
    sections = list(_sections(report, rows, problems, remarks))
    title = f"Images of {report.model}: {_decision(report.verdict).lower()}"
    links = "".join(f'<li><a href="#{each.anchor}">{each.title}</a></li>' for each in sections)
    main = "".join(f'<section id="{each.anchor}"><h2>{each.title}</h2>{each.content}</section>\n' for each in sections)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"{_header(report)}\n<main>\n{_verdict(report.verdict)}\n"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav>\n{main}</main>\n</body>\n</html>\n'
    )


def _decision(verdict: Verdict) -> str:
    return "Passed" if verdict.decision is Decision.PASS else "Refused"


def _header(report: "DataReport") -> str:
    made_at = report.made_at
    about = {
        "Source": as_path(report.address),
        "Looked at": f'<time datetime="{made_at.isoformat()}">{made_at:%Y-%m-%d %H:%M:%S} UTC</time>',
        "Data digest": f"<code>{text(report.digest[:12])}</code>",
    }
    pairs = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in about.items())
    return f'<header><h1>Images of {as_name(report.model)}</h1><dl class="about">{pairs}</dl></header>'


def _verdict(verdict: Verdict) -> str:
    reasons = "".join(f"<li>{text(reason)}</li>" for reason in verdict.reasons)
    kind = "pass" if verdict.decision is Decision.PASS else "fail"
    advice = (
        ""
        if kind == "pass"
        else "<p>Correct the images, or change the limit that a reason names in the YAML of the model.</p>"
    )
    return f'<section class="verdict {kind}"><h2>{_decision(verdict)}</h2><ul>{reasons}</ul>{advice}</section>'


def _sections(
    report: "DataReport", rows: Sequence[ClassRow], problems: FirstRows, remarks: Mapping[str, FirstRows]
) -> Iterator[_Section]:
    yield _Section("figures", "Figures", figures(report.found, report.previous))
    yield _Section("classes", f"Classes ({len(report.found.counts):,})", classes(rows))
    if problems.count:
        more = rest_of(problems, "problems.csv")
        yield _Section("problems", f"Unusable files ({problems.count:,})", f"{more}{listing(problems)}")
    yield _suspects(report.suspects)
    for kind in sorted(remarks, key=lambda each: (list(_KINDS).index(each) if each in _KINDS else len(_KINDS), each)):
        title, meaning = _KINDS.get(kind, (kind, ""))
        listed = remarks[kind]
        content = f"<p>{meaning}</p>{rest_of(listed, 'remarks.csv', most=LISTED_REMARKS)}{listing(listed)}"
        anchor = kind.replace(" ", "-") if kind in _KINDS else "other"
        yield _Section(anchor, f"{text(title)} ({listed.count:,})", content)


def _suspects(suspects: LabelErrors | None) -> _Section:
    if suspects is None:
        return _Section(
            "label-errors",
            "Suspected label errors",
            "<p>They were not looked for: that needs new images, and a version that serves.</p>",
        )
    count = len(suspects.suspects)
    shown = suspects.suspects[:_SHOWN_SUSPECTS]
    few = f" So few are not judged: that takes {FEWEST_EXAMINED}." if suspects.examined < FEWEST_EXAMINED else ""
    about = f"<p>v{suspects.version} was asked about {suspects.examined:,} new images.{few}</p>"
    rows = [
        f'<tr><th scope="row" class="path">{as_path(each.path)}</th><td class="name">{as_name(each.label)}</td>'
        f'<td class="name">{as_name(each.suggested)}</td><td class="number">{each.probability:.1%}</td>'
        f'<td class="number">{each.given_probability:.1%}</td></tr>\n'
        for each in shown
    ]
    headings = ("Path", "Label", "The model says", "#Sure of that", "#Sure of the label")
    found = folded(headings, rows, label="Suspected label errors") if shown else ""
    rest = rest_of(FirstRows(len(shown), [(each.path, "") for each in shown], count), "label_errors.csv")
    return _Section("label-errors", f"Suspected label errors ({count:,})", about + rest + found)
