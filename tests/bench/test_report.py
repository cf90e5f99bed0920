import json
from io import StringIO
from pathlib import Path

from rich.console import Console

from bench.serving.report import Row, print_table, write_json

ROWS = [
    Row(figure="speed", what="ours : theirs", value=2.0, ours="2/s", baseline="1/s", goal=1.5, at_least=True),
    Row(figure="speed", what="ours", value=2.0, unit="ms", goal=1.0),
    Row(figure="speed", what="theirs", value=3.0),
    Row(figure="REST", what="ours : nobody", note="it [does] not install"),
]
VERDICTS = ["met", "missed", "", "not measured"]


def test_a_row_says_whether_its_goal_is_met() -> None:
    assert VERDICTS == [row.verdict for row in ROWS]


def test_the_table_holds_every_figure_its_goal_and_why_one_is_missing() -> None:
    console = Console(file=StringIO(), width=110)
    print_table(ROWS, console)
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()

    for words in ("speed", "ours : theirs", "2.00 x", ">= 1.5 x", "<= 1 ms", "missed", "it [does] not install"):
        assert words in text


def test_the_json_holds_every_row_with_its_verdict(tmp_path: Path) -> None:
    write_json(ROWS, tmp_path / "rows.json")
    written = json.loads((tmp_path / "rows.json").read_text())

    assert VERDICTS == [row["verdict"] for row in written["rows"]]
    assert written["machine"]["cpus"] > 0
