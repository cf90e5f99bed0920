"""What a retention deleted, or would delete, and why: for people and for the log."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from pipeline.first_few import first_few
from pipeline.rules.retention import RetentionDecision, VersionDecision
from pipeline.spec import RetentionPolicy

_FIRST_FEW = 5


@dataclass(frozen=True)
class Retained:
    """The result of `retain`.

    Attributes:
        policy: what was asked for.
        dry_run: whether it only says what it would do.
        lines: what becomes of each version.
        runs: the runs whose records are deleted.
        snapshots: the folders of lists of images, and of parts of interrupted ones, that are deleted.
        checkpoints: how many checkpoints of the journal are deleted, each with the pages that only it needs.
        undated: runs whose time is not recorded; they stay.
        unknown: names among versions and runs that Understudy did not create; they stay.
        leftovers: what crashed processes have left, in words.
        back: folders that another process wrote to during the deletion; the next retention looks at them again.
    """

    policy: RetentionPolicy
    dry_run: bool
    lines: tuple[VersionDecision, ...] = ()
    runs: tuple[str, ...] = ()
    snapshots: tuple[str, ...] = ()
    checkpoints: int = 0
    undated: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()
    back: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """The counts for the verb's log line."""
        decisions = [line.decision for line in self.lines]
        return {
            "dry_run": self.dry_run,
            "kept": decisions.count(RetentionDecision.KEEP),
            "retired": decisions.count(RetentionDecision.RETIRE),
            "retired_before": decisions.count(RetentionDecision.DELETE),
            "runs": len(self.runs),
            "snapshots": len(self.snapshots),
            "checkpoints": self.checkpoints,
            "leftovers": len(self.leftovers),
            "left_alone": len(self.undated) + len(self.unknown) + len(self.back),
        }


def table(model: str, found: Retained) -> Group:
    """The same for a person; versions next to each other with the same answer share a line."""
    done = "would be done" if found.dry_run else "was done"
    view = Table(title=f"Retention of {model}, what {done}: {found.policy}", title_justify="left", show_edge=False)
    for column in ("version", "is", "decision", "why"):
        view.add_column(column, no_wrap=column != "why")
    for lines in _alike(found.lines):
        first = lines[0]
        view.add_row(_numbers(lines), first.description, first.decision, Text("; ".join(first.why)))
    return Group(view, "", *(Text(line) for line in _beside(model, found)))


def _alike(lines: Sequence[VersionDecision]) -> Iterator[list[VersionDecision]]:
    for _, group in groupby(lines, key=lambda line: (line.description, line.decision, line.why)):
        yield list(group)


def _numbers(lines: Sequence[VersionDecision]) -> str:
    first, last = lines[0].version, lines[-1].version
    return f"v{first}" if first == last else f"v{first} to v{last} ({len(lines)})"


def _beside(model: str, found: Retained) -> Iterator[str]:
    goes = "that would be deleted" if found.dry_run else "that were deleted"
    yield f"runs older than {found.policy.run_days:g} days {goes}: {_few(found.runs)}"
    yield f"lists of images older than that, of no run, {goes}: {_few(found.snapshots)}"
    yield f"old checkpoints of the journal {goes}: {found.checkpoints or 'none'}"
    yield f"leftovers of crashed processes {goes}: {_few(found.leftovers)}"
    again = f"run `understudy retain --model {model}` again"
    for what, names in (
        ("runs of unknown age, not deleted", found.undated),
        ("names that Understudy did not create, not deleted", found.unknown),
        (f"another process wrote to these during the deletion, so some files remain; {again}", found.back),
    ):
        if names:
            yield f"{what}: {_few([repr(name) for name in names])}"


def _few(names: Sequence[str]) -> str:
    if not names:
        return "none"
    return f"{len(names)} ({first_few(names, _FIRST_FEW, separator='; ')})"
