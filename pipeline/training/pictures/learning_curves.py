"""How the training went: loss and accuracy of each epoch, which one was exported, and where a phase began."""

import io
from collections.abc import Sequence
from typing import Any

from pipeline.runs.records import Epoch

_CURVES = {"train": ("training", "tab:blue"), "validation": ("validation", "tab:orange")}
# With more epochs than this, a dot for each is a thick line.
_DOTTED = 60


def draw_learning_curves(epochs: Sequence[Epoch], *, best: int, phases: Sequence[int] = ()) -> bytes:
    """A PNG file, 1,000 pixels wide: the loss on the left, the accuracy on the right.

    A value that is no number leaves a gap in its curve.

    Args:
        epochs: of all phases, in their order; at least one. Metrics that are missing have no curve.
        best: the number of the epoch that was exported, from 1; 0: the last one.
        phases: the number of the first epoch of each phase after the first one.
    """
    import matplotlib.figure

    figure = matplotlib.figure.Figure(figsize=(10, 4), layout="constrained")
    marked = best or len(epochs)
    for axes, metric in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        _draw(axes, epochs, metric, best=marked)
        for number in phases:
            axes.axvline(number - 0.5, color="grey", linestyle="--", linewidth=1)
        for number, start in enumerate([1, *phases] if phases else [], start=1):
            axes.annotate(f" phase {number}", (start - 0.5, 0.02), xycoords=("data", "axes fraction"), fontsize=8)
        _label(axes, len(epochs), metric)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=100)
    return stream.getvalue()


def _draw(axes: Any, epochs: Sequence[Epoch], metric: str, *, best: int) -> None:
    marker = "." if len(epochs) <= _DOTTED else ""
    for prefix, (name, colour) in _CURVES.items():
        key = f"{prefix}/{metric}"
        values = [epoch.metrics.get(key, float("nan")) for epoch in epochs]
        if any(key in epoch.metrics for epoch in epochs):
            axes.plot(range(1, len(epochs) + 1), values, color=colour, marker=marker, label=name)
            value = values[best - 1]
            axes.plot([best], [value], color=colour, marker="o", markersize=9, fillstyle="none")
            axes.annotate(f"{value:.3f}", (best, value), xytext=(6, 6), textcoords="offset points", fontsize=8)
    axes.axvline(best, color="tab:green", linewidth=1, label=f"exported: epoch {best}")


def _label(axes: Any, epochs: int, metric: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set(title=metric, xlabel="epoch", xlim=(0.5, epochs + 0.5))
    if metric == "accuracy":
        axes.set_ylim(-0.02, 1.05)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
