"""What was measured, as a picture: throughput by the number of clients, and latency by the rate of requests."""

import io
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from pipeline.profiling.measurement import Batching, Loop, Measurement

_LINES = {Batching.OFF: "-", Batching.ON: "--", Batching.UNKNOWN: "-"}
_SHOWN = {"p50": "tab:green", "p99": "tab:orange", "p999": "tab:red"}
_NAMES = {"p50": "p50", "p99": "p99", "p999": "p99.9"}


def draw_plot(measurements: Sequence[Measurement], *, title: str) -> bytes:
    """A PNG file, 1,400 pixels wide. A point at which requests were sent late is an open circle."""
    stream = io.BytesIO()
    plot_figure(measurements, title=title).savefig(stream, format="png", dpi=100)
    return stream.getvalue()


def plot_figure(measurements: Sequence[Measurement], *, title: str) -> Any:
    """What `draw_plot` draws, as a figure of matplotlib."""
    import matplotlib.figure

    figure = matplotlib.figure.Figure(figsize=(14, 7), layout="constrained")
    # A name may have what the font lacks, or look like mathematics.
    figure.suptitle(title.encode("ascii", "replace").decode(), parse_math=False)
    left, right = figure.subplots(1, 2)
    _draw_throughput(left, [each for each in measurements if each.point.loop is Loop.CLOSED])
    _draw_latency(right, [each for each in measurements if each.point.loop is Loop.OPEN])
    for axes in (left, right):
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            # Below: with nine batch sizes of two servers it would cover the lines.
            axes.legend(fontsize=8, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.12))
    return figure


def _draw_throughput(axes: Any, measurements: Sequence[Measurement]) -> None:
    from matplotlib import colormaps
    from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

    batches = sorted({each.point.batch for each in measurements})
    for batching, of_server in _grouped(measurements, lambda each: each.point.batching):
        for batch, line in _grouped(of_server, lambda each: each.point.batch):
            points = sorted(line, key=lambda each: each.point.concurrency)
            axes.plot(
                [each.point.concurrency for each in points],
                [each.images_per_second for each in points],
                linestyle=_LINES[batching],
                marker=".",
                # From dark to light with the size.
                color=colormaps["viridis"](batches.index(batch) / max(1, len(batches) - 0.5)),
                label=f"batch {batch}{_suffix(batching)}",
            )
    axes.set(title="closed loop: throughput", xlabel="clients", ylabel="images/s", xscale="log")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(FixedLocator(sorted({each.point.concurrency for each in measurements}) or [1]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(ScalarFormatter())


def _draw_latency(axes: Any, measurements: Sequence[Measurement]) -> None:
    for batching, line in _grouped(measurements, lambda each: each.point.batching):
        points = sorted(line, key=lambda each: each.point.rate)
        rates = [each.point.rate for each in points]
        for name, colour in _SHOWN.items():
            values = [getattr(each, name) * 1000 for each in points]
            label = f"{_NAMES[name]}{_suffix(batching)}"
            axes.plot(rates, values, linestyle=_LINES[batching], marker=".", color=colour, label=label)
            late = [each for each in points if not each.generator_kept_up]
            marks = ([each.point.rate for each in late], [getattr(each, name) * 1000 for each in late])
            axes.plot(*marks, linestyle="", marker="o", markersize=9, fillstyle="none", color=colour)
    if not all(each.generator_kept_up for each in measurements):
        circle = {"linestyle": "", "marker": "o", "markersize": 9, "fillstyle": "none", "color": "grey"}
        axes.plot([], [], **circle, label="requests were sent late")
    title = "open loop: latency from when a request was due"
    axes.set(title=title, xlabel="requests/s that are due", ylabel="ms", yscale="log")


def _suffix(batching: Batching) -> str:
    return "" if batching is Batching.UNKNOWN else f", batching {batching}"


def _grouped(measurements: Sequence[Measurement], key: Any) -> list[tuple[Any, list[Measurement]]]:
    return [(value, list(group)) for value, group in groupby(sorted(measurements, key=key), key)]
