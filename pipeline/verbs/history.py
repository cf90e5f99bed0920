"""What served when, who or what moved it, and why: the journal for a person."""

from rich.table import Table
from rich.text import Text

from pipeline.release.journal import History


def table(model: str, history: History) -> Table:
    view = Table("entry", "when (UTC)", "what", "version", "who", "why", "state after", title=f"History of {model}")
    for entry in history.entries:
        why = entry.reason if len(entry.reason) <= 200 else entry.reason[:199] + "…"
        when = f"{entry.at:%Y-%m-%d %H:%M:%S}"
        view.add_row(
            str(entry.seq), when, entry.event, f"v{entry.version}", Text(entry.actor), Text(why), str(entry.state)
        )
    return view
