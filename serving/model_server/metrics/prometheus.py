"""Counters and histograms that many threads may add to, and the page Prometheus reads them from.

A metric has upstream's name (`/tensorflow/serving/request_count`), names of labels, and one cell for each
combination of their values. The page is byte for byte what upstream's exporter writes, with one exception: a line
break inside a label's value is escaped, where upstream writes a page that no longer parses.
"""

import re
import threading
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Protocol


class Metric(Protocol):
    """What the page needs of a metric, whatever it counts."""

    name: str

    def first(self) -> int:
        """The count of the first cell in the order of labels; 0 without cells, and for a histogram."""
        ...

    def lines(self) -> Iterator[str]: ...


class Counter:
    """A number for each combination of label values that only grows."""

    def __init__(self, name: str, *labels: str) -> None:
        self.name = name
        self._labels = labels
        self._cells: dict[tuple[str, ...], int] = {}
        self._lock = threading.Lock()

    def add(self, *values: str, by: int = 1) -> None:
        assert len(values) == len(self._labels)
        with self._lock:
            self._cells[values] = self._cells.get(values, 0) + by

    def value(self, *values: str) -> int:
        with self._lock:
            return self._cells.get(values, 0)

    def first(self) -> int:
        with self._lock:
            return self._cells[min(self._cells)] if self._cells else 0

    def lines(self) -> Iterator[str]:
        with self._lock:
            cells = sorted(self._cells.items())
        name = page_name(self.name)
        yield f"# TYPE {name} counter"
        for values, count in cells:
            yield f"{name}{{{','.join(labelled(self._labels, values))}}} {count}"


class Cell:
    """The samples of one combination of label values."""

    def __init__(self, bounds: int) -> None:
        # One more than there are bounds: what is above them all.
        self.counts = [0] * (bounds + 1)
        self.sum = 0.0

    def copy(self) -> "Cell":
        other = Cell(0)
        other.counts, other.sum = list(self.counts), self.sum
        return other


class Histogram:
    """How samples spread over buckets, for each combination of label values."""

    def __init__(self, name: str, *labels: str, bounds: Iterable[float]) -> None:
        self.name = name
        self._labels = labels
        self._bounds = list(bounds)
        self._cells: dict[tuple[str, ...], Cell] = {}
        self._lock = threading.Lock()

    def add(self, sample: float, *values: str) -> None:
        assert len(values) == len(self._labels)
        # As upstream: a sample on a bound counts above it.
        bucket = bisect_right(self._bounds, sample)
        with self._lock:
            cell = self._cells.get(values)
            if cell is None:
                cell = self._cells[values] = Cell(len(self._bounds))
            cell.counts[bucket] += 1
            cell.sum += sample

    def count(self, *values: str) -> int:
        """How many samples there were."""
        with self._lock:
            return sum(self._cells[values].counts) if values in self._cells else 0

    def first(self) -> int:
        return 0

    def lines(self) -> Iterator[str]:
        with self._lock:
            cells = sorted((values, cell.copy()) for values, cell in self._cells.items())
        name = page_name(self.name)
        limits = [f"{bound:g}" for bound in self._bounds] + ["+Inf"]
        yield f"# TYPE {name} histogram"
        for values, cell in cells:
            labels = labelled(self._labels, values)
            total = 0
            for limit, count in zip(limits, cell.counts, strict=True):
                total += count
                bucket = ",".join([*labels, f'le="{limit}"'])
                yield f"{name}_bucket{{{bucket}}} {total}"
            yield f"{name}_sum{{{','.join(labels)}}} {cell.sum:g}"
            yield f"{name}_count{{{','.join(labels)}}} {total}"


def exponential(scale: float, growth: float, count: int) -> list[float]:
    """`count` upper bounds, the first at `scale`, each `growth` times the one before."""
    bounds = [scale]
    while len(bounds) < count:
        bounds.append(bounds[-1] * growth)
    return bounds


def page(metrics: Iterable[Metric]) -> str:
    """All of them in Prometheus's text format, ordered by name."""
    ordered = sorted(metrics, key=lambda metric: metric.name)
    return "\n".join(line for metric in ordered for line in metric.lines()) + "\n"


def page_name(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", ":", name)


def labelled(labels: tuple[str, ...], values: tuple[str, ...]) -> list[str]:
    return [f'{label}="{escaped(value)}"' for label, value in zip(labels, values, strict=True)]


def escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
