"""How the training went: loss and accuracy of each epoch, which one was exported, and where a phase began."""

import io
import math
from collections.abc import Sequence
from typing import Any

from pipeline.runs.records import Epoch

_CURVES = {"train": ("training", "tab:blue"), "validation": ("validation", "tab:orange")}
# With more epochs than this, a dot for each is a thick line.
_DOTTED = 60


def draw_learning_curves(epochs: Sequence[Epoch], *, best: int, phases: Sequence[int] = ()) -> bytes:
    """A PNG file, 1,000 pixels wide: the loss on the left, the accuracy on the right.

    The legend has the numbers: those of the exported epoch, and where a phase begins. A value that is no
    number leaves a gap in its curve.

    Args:
        epochs: of all phases, in their order; at least one. Metrics that are missing have no curve.
        best: the number of the epoch that was exported, from 1; 0: the last one.
        phases: the number of the first epoch of each phase after the first one.
    """
    stream = io.BytesIO()
    curves_figure(epochs, best=best, phases=phases).savefig(stream, format="png", dpi=100)
    return stream.getvalue()


def curves_figure(epochs: Sequence[Epoch], *, best: int, phases: Sequence[int] = ()) -> Any:
    """What `draw_learning_curves` draws, as a figure of matplotlib."""
    import matplotlib.figure

    figure = matplotlib.figure.Figure(figsize=(10, 4), layout="constrained")
    marked = best or len(epochs)
    for axes, metric in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        _draw(axes, epochs, metric, best=marked)
        for number, start in enumerate(phases, start=2):
            label = f"phase {number}: from epoch {start}"
            axes.axvline(start - 0.5, color="grey", linestyle="--", linewidth=1, label=label)
        _label(axes, len(epochs), metric)
    return figure


def _draw(axes: Any, epochs: Sequence[Epoch], metric: str, *, best: int) -> None:
    marker = "." if len(epochs) <= _DOTTED else ""
    for prefix, (name, colour) in _CURVES.items():
        key = f"{prefix}/{metric}"
        values = [epoch.metrics.get(key, float("nan")) for epoch in epochs]
        if any(key in epoch.metrics for epoch in epochs):
            value = values[best - 1]
            # Not beside their points: the two are often close together, and at the last epoch they are at the border.
            label = f"{name}: {value:.3f}" if math.isfinite(value) else f"{name}: no number"
            axes.plot(range(1, len(epochs) + 1), values, color=colour, marker=marker, label=label)
            axes.plot([best], [value], color=colour, marker="o", markersize=9, fillstyle="none")
    axes.axvline(best, color="tab:green", linewidth=1, label=f"exported: epoch {best}")


def _label(axes: Any, epochs: int, metric: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set(title=metric, xlabel="epoch", xlim=(0.5, epochs + 0.5))
    if metric == "accuracy":
        axes.set_ylim(-0.02, 1.05)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
