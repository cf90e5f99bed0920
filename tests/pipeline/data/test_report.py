"""The report about the images of a snapshot: one page, and CSV files with all that it shows in part."""

import csv
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pipeline.data.report.data_report import PAGE, SHOWN_PROBLEMS, SHOWN_REMARKS, DataReport, write_report
from pipeline.data.report.html import LISTED_REMARKS
from pipeline.inspection.data_table import report_table
from pipeline.verdicts.measurements import DataSummary, LabelErrors, Suspect
from pipeline.verdicts.verdict import Decision, Verdict

PASSED = Verdict(decision=Decision.PASS, reasons=("unusable files 0 of 9 (0%) <= 0%",))
REFUSED = Verdict(decision=Decision.FAIL, reasons=("imbalance 9 > 2 (data.checks.imbalance)",))

HOSTILE = (
    "<script>alert(1)</script>",
    "</bdi></td></tr></table><h1 id=in>x</h1>",
    '" onmouseover="alert(1)',
    "' onfocus='alert(1)",
    "</title><style>*{display:none}</style>",
    "&lt;b&gt;",
    "<!--",
    "]]>",
    "\u202egnp.exe",
    "\x1b[2J\x00",
    "new\nline\r",
    "\udcff\udcfe",
    "javascript:alert(1)",
)
VOID = {"meta"}


class Page(HTMLParser):
    """The elements, attributes and text of a page; an element that is not closed, or closed twice, is an error."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.ids: list[str] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed((folder / PAGE).read_text(encoding="utf-8"))
        self.close()
        assert [] == self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {(name, value or "") for name, value in attrs}
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return "\n".join(self.texts)

    def has(self, *parts: str) -> bool:
        """Whether all of them are texts of elements, in this order and next to each other apart from spaces."""
        texts = [each.strip() for each in self.texts if each.strip()]
        return any(tuple(texts[start : start + len(parts)]) == parts for start in range(len(texts)))


def summary(**counts: int) -> DataSummary:
    return DataSummary.model_validate(
        {
            "files": sum(counts.values()),
            "counts": {label: {"train": count - count // 4, "holdout": count // 4} for label, count in counts.items()},
        }
    )


def report(**changes: Any) -> DataReport:
    values: dict[str, Any] = {
        "model": "pets",
        "made_at": datetime(2026, 12, 1, 8, 30, tzinfo=UTC),
        "address": "/data/pets",
        "digest": "0123456789abcdef",
        "found": summary(cat=90, dog=10),
        "previous": None,
        "verdict": PASSED,
        "problems": (),
        "problem_count": 0,
        "remarks": (),
        "suspects": None,
    }
    return DataReport(**(values | changes))


def written(folder: Path, **changes: Any) -> Page:
    write_report(folder, report(**changes))
    return Page(folder)


def everywhere(folder: Path, text: str) -> Page:
    """A page with this text in each place where strangers can write."""
    suspect = Suspect.model_construct(path=text, label=text, suggested=text, probability=0.9, given_probability=0.1)
    return written(
        folder,
        model=text,
        address=text,
        digest=text,
        found=summary(**{text: 9, "x": 3}),
        previous=summary(**{text * 2: 9}),
        verdict=Verdict.model_construct(decision=Decision.FAIL, reasons=(text,)),
        problems=[(text, text)],
        problem_count=1,
        remarks=[(text, text, text), ("left out", text, text)],
        suspects=LabelErrors.model_construct(version=1, examined=1, suspects=(suspect,)),
    )


def rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def in_terminal(**changes: Any) -> str:
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115 - nobody reads it
    console.print(report_table(report(**changes)))
    console.file.close()
    return console.export_text()


class TestPage:
    def test_begins_with_the_verdict_and_its_reasons(self, tmp_path: Path) -> None:
        page = written(tmp_path, verdict=REFUSED)
        texts = [each.strip() for each in page.texts if each.strip()]

        assert page.has("Refused", REFUSED.reasons[0])
        assert texts.index("Refused") < texts.index("Figures")
        assert "Images of pets: refused" in texts

    def test_says_of_what_it_is(self, tmp_path: Path) -> None:
        page = written(tmp_path)

        assert page.has("Source", "/data/pets")
        assert page.has("Looked at", "2026-12-01 08:30:00 UTC")
        assert page.has("Data digest", "0123456789ab")

    def test_has_each_class_with_its_images_by_split(self, tmp_path: Path) -> None:
        page = written(tmp_path)

        assert page.has("cat", "90", "68", "0", "22")
        assert page.has("dog", "10", "8", "0", "2")
        assert ("style", "width:75.56%") in page.attributes, "68 of 90, the most frequent"

    def test_compares_with_the_snapshot_before(self, tmp_path: Path) -> None:
        page = written(tmp_path, found=summary(cat=90, dog=10, owl=5), previous=summary(cat=60, ant=7, dog=10))

        assert page.has("Vanished classes (1):", "ant")
        assert page.has("New classes (1):", "owl")
        assert page.has("cat", "90", "68", "0", "22", "+30 (+50%)")
        assert page.has("dog", "10", "8", "0", "2", "-")
        assert page.has("ant", "0", "0", "0", "0", "vanished")

    def test_lists_the_first_thousand_problems_and_says_where_the_others_are(self, tmp_path: Path) -> None:
        problems = [(f"/data/{number:04d}.png", "is empty") for number in range(SHOWN_PROBLEMS + 1)]
        page = written(tmp_path, problems=iter(problems), problem_count=len(problems))

        assert page.has("Unusable files (1,001)")
        assert page.has("The first 1,000. All of them are in", "problems.csv")
        assert page.has("/data/0999.png", "is empty")
        assert "/data/1000.png" not in page.text
        assert problems == [tuple(row) for row in rows(tmp_path / "problems.csv")[1:]]

    def test_lists_remarks_by_their_kind_those_that_cost_images_first(self, tmp_path: Path) -> None:
        remarks = [
            *(("duplicate", f"/data/{number}.png", "has the content of /data/x.png") for number in range(300)),
            ("near-duplicate", "/data/a.png", "looks like /data/b.png"),
            ("left out", "/data/c.png", "is also /data/d.png, of label 'dog'"),
        ]
        page = written(tmp_path, remarks=iter(remarks))
        sections = [each for each in page.ids if each in ("left-out", "near-duplicate", "duplicate")]

        assert ["left-out", "near-duplicate", "duplicate"] == sections
        assert page.has("/data/a.png", "looks like /data/b.png")
        assert page.has("/data/c.png", "is also /data/d.png, of label 'dog'")
        assert page.has("Duplicates (300)")
        assert f"/data/{SHOWN_REMARKS - 1}.png" in page.text
        assert f"/data/{SHOWN_REMARKS}.png" not in page.text
        assert 302 == len(rows(tmp_path / "remarks.csv")[1:])

    def test_of_remarks_about_every_image_it_keeps_the_first_and_counts_all(self, tmp_path: Path) -> None:
        """Each run keeps its report, and each of a million images may be converted."""
        remarks = (("converted", f"/data/{number}.webp", "is stored as .png") for number in range(LISTED_REMARKS + 7))
        page = written(tmp_path, remarks=remarks)

        assert page.has("Converted images (10,007)")
        assert "The first 10,000 are in" in page.text
        assert LISTED_REMARKS == len(rows(tmp_path / "remarks.csv")[1:])

    def test_shows_suspected_label_errors_beside_what_the_model_says(self, tmp_path: Path) -> None:
        suspect = Suspect(path="/data/a.png", label="cat", suggested="dog", probability=0.98, given_probability=0.01)
        page = written(tmp_path, suspects=LabelErrors(version=7, examined=200, suspects=(suspect,)))

        assert page.has("v7 was asked about 200 new images.")
        assert page.has("/data/a.png", "cat", "dog", "98.0%", "1.0%")
        assert ["/data/a.png", "cat", "dog", "0.9800", "0.0100"] == rows(tmp_path / "label_errors.csv")[1]

    def test_says_if_label_errors_were_not_looked_for(self, tmp_path: Path) -> None:
        assert "They were not looked for" in written(tmp_path).text

    def test_of_a_thousand_classes_begins_with_the_most_frequent_and_the_rarest(self, tmp_path: Path) -> None:
        found = summary(**{f"species {number:04d}": number + 4 for number in range(1000)})
        page = written(tmp_path, found=found)

        assert "details" in page.elements
        assert 1000 + 10 + 20 == sum(each.startswith("species") for each in page.texts)
        assert (tmp_path / PAGE).stat().st_size < 1_000_000

    def test_is_opened_with_nothing_from_elsewhere_and_without_scripts(self, tmp_path: Path) -> None:
        page = written(tmp_path, problems=[("a", "b")] * 2000, problem_count=2000)
        policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
        links = {value for name, value in page.attributes if name == "href" and not value.startswith("#")}

        assert ("content", policy) in page.attributes
        assert {"problems.csv"} == links
        assert "url(" not in (tmp_path / PAGE).read_text()

    def test_every_link_within_it_leads_somewhere(self, tmp_path: Path) -> None:
        remarks = [("left out", "a", "b"), ("odd kind", "a", "b")]
        page = written(tmp_path, problems=[("a", "b")], problem_count=1, remarks=remarks)
        links = {value[1:] for name, value in page.attributes if name == "href" and value.startswith("#")}

        assert links <= set(page.ids)
        assert len(page.ids) == len(set(page.ids))

    def test_two_labels_that_look_the_same_are_told_apart(self, tmp_path: Path) -> None:
        page = written(tmp_path, found=summary(**{"\u00e9": 8, "e\u0301": 8, "cat": 8, "cat ": 8}))

        assert page.has("e\u0301", r"(that is 'e\u0301')")
        assert page.has("cat", "(that is 'cat ')")

    def test_without_any_image_can_be_written(self, tmp_path: Path) -> None:
        assert written(tmp_path, found=DataSummary(), previous=DataSummary(), verdict=REFUSED).has("Classes (0)")


class TestStrangersText:
    @pytest.mark.parametrize("text", HOSTILE)
    def test_adds_no_element_and_no_attribute(self, tmp_path: Path, text: str) -> None:
        page, plain = everywhere(tmp_path / "hostile", text), everywhere(tmp_path / "plain", "cat ")

        assert set() == page.elements - plain.elements
        assert set() == {name for name, _ in page.attributes} - {name for name, _ in plain.attributes}
        assert plain.ids == page.ids
        assert not any(each in page.text for each in ("\x1b", "\x00", "\u202e", "\udcff"))

    @pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
    def test_is_no_formula_in_a_spreadsheet(self, tmp_path: Path, text: str) -> None:
        written(
            tmp_path,
            found=summary(**{text: 9}),
            problems=[(text, text)],
            remarks=[(text, text, text)],
        )

        assert [f"'{text}", f"'{text}"] == rows(tmp_path / "problems.csv")[1]
        assert [f"'{text}"] * 3 == rows(tmp_path / "remarks.csv")[1]
        assert f"'{text}" == rows(tmp_path / "classes.csv")[1][0]

    def test_with_commas_quotes_and_line_breaks_is_one_cell(self, tmp_path: Path) -> None:
        written(tmp_path, problems=[('a,b"c\nd', "x")])

        assert [['a,b"c\nd', "x"]] == rows(tmp_path / "problems.csv")[1:]

    @pytest.mark.parametrize("text", HOSTILE)
    def test_cannot_control_a_terminal(self, text: str) -> None:
        shown = in_terminal(
            model=text,
            address=text,
            found=summary(**{text: 9}),
            verdict=Verdict.model_construct(decision=Decision.FAIL, reasons=(text,)),
            problems=[(text, text)],
            problem_count=1,
            remarks=[("left out", text, text)],
        )

        assert not any(each in shown for each in ("\x1b", "\x00", "\u202e", "\udcff", "\r"))

    def test_with_brackets_is_no_markup_of_a_terminal(self) -> None:
        assert "[red]x[/red]" in in_terminal(found=summary(**{"[red]x[/red]": 9}))


class TestClasses:
    def test_are_all_in_a_file_with_those_that_vanished(self, tmp_path: Path) -> None:
        written(tmp_path, found=summary(cat=8, owl=4), previous=summary(cat=4, ant=4))

        assert [
            ["label", "images", "train", "validation", "holdout", "images_before"],
            ["cat", "8", "6", "0", "2", "4"],
            ["owl", "4", "3", "0", "1", "0"],
            ["ant", "0", "0", "0", "0", "4"],
        ] == rows(tmp_path / "classes.csv")


def test_memory_does_not_grow_with_the_problems(tmp_path: Path) -> None:
    def stream() -> Iterator[tuple[str, str]]:
        for number in range(30_000):
            yield f"/data/{'x' * 200}/{number}.png", "is empty"

    tracemalloc.start()
    write_report(tmp_path, report(problems=stream(), remarks=(("blank", *each) for each in stream())))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert 30_001 == len(rows(tmp_path / "problems.csv"))
    assert peak < 4_000_000, "all of them are 15 MB"


def test_a_report_that_exists_is_replaced(tmp_path: Path) -> None:
    written(tmp_path / "new" / "folder", problems=[("a", "b")], problem_count=1)
    page = written(tmp_path / "new" / "folder")

    assert "Unusable files" not in page.text
    assert [["path", "reason"]] == rows(tmp_path / "new" / "folder" / "problems.csv")


class TestTerminal:
    def test_ends_with_the_verdict(self) -> None:
        lines = in_terminal(verdict=REFUSED).split("\n")

        assert ["Refused", f"  {REFUSED.reasons[0]}"] == [line.rstrip() for line in lines if line.strip()][-2:]

    def test_lists_the_first_problems_and_counts_the_others(self) -> None:
        shown = in_terminal(problems=((f"/data/{n}.png", "is empty") for n in range(60)), problem_count=60)

        assert "/data/49.png" in shown
        assert "/data/50.png" not in shown
        assert "and 10 more unusable files: `--report FOLDER` lists all of them" in shown

    def test_shows_the_most_frequent_and_the_rarest_of_many_classes(self) -> None:
        shown = in_terminal(found=summary(**{f"s{number:03d}": number + 1 for number in range(100)}))

        assert all(label in shown for label in ("s099", "s090", "s009", "s000", "... 80 more ..."))
        assert "s050" not in shown

    def test_shows_one_of_each_kind_of_remark(self) -> None:
        shown = in_terminal(remarks=[("blank", "/data/a.png", "is blank"), ("blank", "/data/b.png", "is blank")])

        assert "/data/a.png is blank" in shown
        assert "/data/b.png" not in shown
