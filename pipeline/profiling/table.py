"""What was measured, as a table for people and as CSV for programs."""

import csv
import math
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from rich.table import Table

from pipeline.profiling.measurement import PERCENTILES, Loop, Measurement

_MS = tuple(PERCENTILES)


def table(measurements: Sequence[Measurement], *, title: str, latency_limit: float) -> Table:
    """A line for each point, in the order in which they were measured; latencies in milliseconds."""
    view = Table(title=title, title_justify="left")
    view.add_column("loop")
    view.add_column("batching")
    for column in ("batch", "clients", "due/s", "requests/s", "images/s", *PERCENTILES.values(), "errors"):
        view.add_column(column, justify="right", no_wrap=True)
    view.add_column("note")
    before: Measurement | None = None
    for each in measurements:
        if before is not None and (before.point.loop, before.point.batch) != (each.point.loop, each.point.batch):
            view.add_section()
        view.add_row(*_cells(each), "; ".join(remarks(each, latency_limit=latency_limit)))
        before = each
    return view


def _cells(each: Measurement) -> list[str]:
    point = each.point
    is_closed = point.loop is Loop.CLOSED
    return [
        str(point.loop),
        str(point.batching),
        str(point.batch),
        str(point.concurrency) if is_closed else "",
        "" if is_closed else f"{point.rate:.1f}",
        f"{each.requests_per_second:.1f}",
        f"{each.images_per_second:.1f}",
        *(_ms(getattr(each, name)) for name in _MS),
        str(each.failed or ""),
    ]


def remarks(each: Measurement, *, latency_limit: float) -> list[str]:
    """What a reader must know about a point, beside its numbers."""
    found = [f"{kind} {count}" for kind, count in sorted(each.errors.items())]
    if each.p99 > latency_limit:
        found.append("over the limit")
    if not each.generator_kept_up:
        found.append(f"generator late: {each.late} of {each.answered + each.failed}")
    return found


def write_csv(measurements: Iterable[Measurement], file: TextIO) -> None:
    """A row for each point; latencies in seconds, the errors as `KIND=COUNT` with `;` between them."""
    writer: Any = None
    for each in measurements:
        row = each.as_json() | {"errors": ";".join(f"{kind}={count}" for kind, count in sorted(each.errors.items()))}
        if writer is None:
            writer = csv.DictWriter(file, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow(row)


def _ms(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "-"
    milliseconds = seconds * 1000
    return f"{milliseconds:.2f}" if milliseconds < 100 else f"{milliseconds:.0f}"
