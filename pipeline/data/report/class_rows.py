"""The classes of a snapshot, one row each, beside those of the snapshot before."""

from dataclasses import dataclass

from pipeline.verdicts.data_checks import percent, relative_change
from pipeline.verdicts.measurements import DataSummary


@dataclass(frozen=True)
class ClassRow:
    """One class. `images` counts all splits; `before` is None if there is no snapshot before."""

    label: str
    images: int
    train: int
    validation: int
    holdout: int
    before: int | None

    @property
    def is_new(self) -> bool:
        return self.before == 0

    @property
    def has_vanished(self) -> bool:
        return self.images == 0

    @property
    def change(self) -> str:
        """For people: `+12 (+4%)`, `new`, `vanished`; empty if nothing has changed or is known."""
        if self.before is None or self.before == self.images:
            return ""
        if not self.before:
            return "new"
        if self.has_vanished:
            return "vanished"
        share = relative_change(self.images, self.before)
        return f"{self.images - self.before:+,} ({percent(share, signed=True)})"


def class_rows(found: DataSummary, previous: DataSummary | None) -> list[ClassRow]:
    """The most frequent class first; classes that have vanished last."""
    before = previous.totals() if previous is not None else {}
    rows = []
    for label in sorted({*found.counts, *before}):
        of = found.counts.get(label, {})
        rows.append(
            ClassRow(
                label=label,
                images=sum(of.values()),
                train=of.get("train", 0),
                validation=of.get("validation", 0),
                holdout=of.get("holdout", 0),
                before=before.get(label, 0) if previous is not None else None,
            )
        )
    return sorted(rows, key=lambda row: -row.images)
