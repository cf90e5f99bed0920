"""The output of the demo: a line for each event while it runs, and a table of the results at the end."""

import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class StepResult:
    """One row of the table: what was expected, whether it happened, and the measured values."""

    name: str
    passed: bool
    measured: str


@dataclass
class Report:
    """The results of the steps, in the order in which they ran."""

    results: list[StepResult] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every step so far had the expected result."""
        return all(result.passed for result in self.results)

    def add(self, result: StepResult) -> None:
        """Keep a result for the table, and print it now."""
        self.results.append(result)
        print_line(f"{'   ok' if result.passed else 'WRONG'}: {result.name}: {result.measured}")

    def print_table(self, *, seconds: float) -> None:
        """Print all results; `seconds` is how long the demo took."""
        table = Table("", "what", "measured", title=f"What happened, in {seconds:.0f} s", title_justify="left")
        for result in self.results:
            table.add_row("yes" if result.passed else "NO", Text(result.name), Text(result.measured))
        Console(width=None if sys.stdout.isatty() else 140).print(table)


def print_line(text: str) -> None:
    """Print one line with the time of day in UTC; a long line is not wrapped."""
    Console().print(Text(f"{datetime.now(UTC):%H:%M:%S} {text}"), soft_wrap=True)
