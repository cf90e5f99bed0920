"""The picture of a sweep."""

import io
from dataclasses import replace

from PIL import Image

from pipeline.profiling.measurement import Batching
from pipeline.profiling.plot import draw_plot, plot_figure
from tests.pipeline.profiling.points import closed, opened

POINTS = [
    closed(batch=batch, clients=clients, images_per_second=batch * clients * 10.0, batching=batching)
    for batch in (1, 4)
    for clients in (1, 2)
    for batching in (Batching.OFF, Batching.ON)
]
RATES = [opened(rate=rate, p99=rate / 1000, late=late) for rate, late in ((10.0, 0), (20.0, 100))]


def test_each_batch_size_of_each_server_has_a_line_of_its_throughput() -> None:
    left, _ = plot_figure(POINTS, title="digits").axes
    lines = {line.get_label(): list(line.get_ydata()) for line in left.lines}

    assert [40.0, 80.0] == lines["batch 4, batching on"]
    assert {"batch 1, batching off", "batch 1, batching on", "batch 4, batching off", "batch 4, batching on"} == set(
        lines
    )


def test_percentiles_are_shown_over_the_rate_in_milliseconds_and_late_points_are_marked() -> None:
    _, right = plot_figure(RATES, title="digits").axes
    lines = {line.get_label(): line for line in right.lines}

    assert ([10.0, 20.0], [10.0, 20.0]) == (
        list(lines["p99, batching off"].get_xdata()),
        list(lines["p99, batching off"].get_ydata()),
    )
    assert "requests were sent late" in lines
    circles = [list(line.get_xdata()) for line in right.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert [[20.0]] * 3 == circles


def test_it_is_a_png_also_of_nothing() -> None:
    nothing = Image.open(io.BytesIO(draw_plot([], title="digits")))
    failed = replace(opened(rate=5.0, p99=float("nan")), answered=0)
    drawn = Image.open(io.BytesIO(draw_plot([failed, *POINTS], title="日本 $x$")))

    assert ("PNG", 1400) == (nothing.format, nothing.width)
    assert nothing.size == drawn.size
