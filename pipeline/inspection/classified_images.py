"""What `classify` found, for people: a table that grows by pages, so that a million images need no memory."""

from collections.abc import Callable

from rich.table import Table
from rich.text import Text

from pipeline.asking.answers import Answer, ImageAnswer
from pipeline.inspection.history import visible

# With a heading for each page.
PAGE = 200


class Pages:
    """Collects answers, and prints them when there are enough for a page.

    Args:
        show: prints a table.
        size: how many lines a page has.
    """

    def __init__(self, show: Callable[[Table], None], *, size: int = PAGE) -> None:
        self._show = show
        self._size = size
        self._rows: list[tuple[str, Answer]] = []

    def add(self, found: ImageAnswer) -> None:
        if found.answer is not None:
            self._rows.append((str(found.image), found.answer))
        if len(self._rows) >= self._size:
            self.flush()

    def flush(self) -> None:
        """Print what is collected."""
        rows, self._rows = self._rows, []
        if rows:
            self._show(_table(rows))


def _table(rows: list[tuple[str, Answer]]) -> Table:
    view = Table()
    view.add_column("image", overflow="fold")
    view.add_column("label", overflow="fold")
    view.add_column("probability", justify="right", no_wrap=True)
    view.add_column("next labels", overflow="fold")
    view.add_column("version", justify="right", no_wrap=True)
    for image, answer in rows:
        (label, probability), *others = answer.labels
        following = ", ".join(f"{name} {value:.3f}" for name, value in others)
        cells = [image, label, f"{probability:.3f}", following, f"v{answer.version}"]
        # Text: a label or a name of a file may look like markup.
        view.add_row(*(Text(visible(cell)) for cell in cells))
    return view
