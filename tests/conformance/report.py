"""What people read at the end of a run, and what is kept."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from tests.conformance.running import Outcome, Result

# Of a reason on the terminal. The JSON file has all of it.
_LONGEST = 500
_WIDTH = max(len(outcome) for outcome in Outcome)


def write_line(stream: TextIO, result: Result) -> None:
    """One line for a fact, and a second one with the reason where it does not hold."""
    stream.write(f"{result.outcome.value:{_WIDTH}}  {result.fact.id}: {result.fact.statement}\n")
    if result.reason:
        stream.write(f"{'':{_WIDTH}}    {_shortened(result.reason)}\n")
    stream.flush()


def _shortened(text: str) -> str:
    half = _LONGEST // 2
    line = text.replace("\n", " ")
    return line if len(line) <= _LONGEST else f"{line[:half]} ... {line[-half:]}"


def write_summary(stream: TextIO, results: Sequence[Result], *, server: str) -> None:
    counts = Counter(result.outcome for result in results)
    parts = [f"{counts[outcome]} {outcome.value}" for outcome in Outcome if counts[outcome]]
    stream.write(f"\n{server}: {', '.join(parts)}\n")


def write_json(file: Path, results: Sequence[Result], *, server: str) -> None:
    """Keep the results, with the moment of the run."""
    facts = [
        {"id": each.fact.id, "statement": each.fact.statement, "outcome": each.outcome.value, "reason": each.reason}
        for each in results
    ]
    whole = {"server": server, "at": datetime.now(UTC).isoformat(timespec="seconds"), "facts": facts}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(whole, indent=1) + "\n")
