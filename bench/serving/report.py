"""What a run found: one row for each goal, as a table for people and as JSON for programs."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure: the value that has a goal, and the two measurements it comes from, in words.

    Without a value it could not be measured, and `note` says why; without a goal it is there to compare with.
    """

    figure: str
    what: str
    value: float | None = None
    unit: str = "x"
    ours: str = ""
    baseline: str = ""
    goal: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "not measured"
        if self.goal is None:
            return ""
        met = self.value >= self.goal if self.at_least else self.value <= self.goal
        return "met" if met else "missed"

    @property
    def wanted(self) -> str:
        return "" if self.goal is None else f"{'>=' if self.at_least else '<='} {self.goal:g} {self.unit}"

    @property
    def measured(self) -> str:
        return "" if self.value is None else f"{self.value:.2f} {self.unit}"


STYLES = {"met": "green", "missed": "red", "not measured": "yellow", "": ""}


def print_table(rows: Sequence[Row], console: Console) -> None:
    """One table; what there is to say about a row stands below it, where it does not squeeze the columns."""
    table = Table("", "ours", "against", "figure", "goal", "")
    figure = None
    for row in rows:
        if row.figure != figure:
            table.add_section()
            table.add_row(f"[bold]{escape(row.figure)}[/bold]")
        figure = row.figure
        style = STYLES[row.verdict]
        judged = f"[{style}]{row.verdict}[/{style}]" if style else row.verdict
        table.add_row(f"  {escape(row.what)}", row.ours, row.baseline, row.measured, row.wanted, judged)
    console.print(table)
    for row in rows:
        if row.note:
            console.print(f"{row.figure}: {row.what}: {row.note}", markup=False, highlight=False)


def write_json(rows: Sequence[Row], file: Path) -> None:
    machine = {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    found = [asdict(row) | {"verdict": row.verdict} for row in rows]
    file.write_text(json.dumps({"machine": machine, "rows": found}, indent=2) + "\n", "utf-8")
