"""docs/conformance.md and docs/model-server.md say what is checked, and nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.conformance.embedded import DIFFERENCES
from tests.conformance.running import chosen

_DOCS = Path(__file__).parents[2] / "docs"
_PAGE = (_DOCS / "conformance.md").read_text(encoding="utf-8")
_SERVER = (_DOCS / "model-server.md").read_text(encoding="utf-8")


def _rows(page: str, first: str) -> Iterator[list[str]]:
    """The cells of the table whose first column has this title."""
    table = page.partition(f"\n| {first} | ")[2].partition("\n\n")[0]
    for line in table.splitlines()[2:]:
        yield [cell.strip() for cell in line.strip("|").split(" | ")]


def test_the_table_of_facts_is_the_suite() -> None:
    """The expected rows can be copied into the document."""
    expected = [f"| `{each.id}` | {each.statement} | {each.relied} | {each.needs.value} |" for each in chosen(())]

    assert expected == re.findall(r"^\| `[a-z0-9-]+` \| .*$", _PAGE, re.MULTILINE)


def test_every_row_of_differences_names_its_checks_or_says_why_there_is_none() -> None:
    checks = {row[0]: row[-1] for row in _rows(_SERVER, "what") if len(row) == 4}
    named = {
        what: set(re.findall(r"`([a-z0-9-]+)`", cell)) & {each.id for each in chosen(())}
        for what, cell in checks.items()
    }

    assert 20 < len(checks)
    assert not [what for what, cell in checks.items() if not named[what] and not cell.startswith("none: ")]
    for fact, what in DIFFERENCES.items():
        assert fact in named[what], f"the row {what} names the check {fact}"


def test_the_makefile_reads_every_variable_of_the_page() -> None:
    makefile = (_DOCS.parent / "Makefile").read_text(encoding="utf-8")
    for variable in set(re.findall(r"\b([A-Z]{4,})=", _PAGE)):
        assert re.search(rf"\$\(?{variable}\b", makefile), variable
