"""The label list is part of the contract with clients: which labels a model knows, and the index of each.

A client may use the index of a class instead of its name, and what it has stored under a name must keep its meaning. So
a label of the serving version keeps its index, even if no image shows it, and new labels come after it. Labels move
only if the removal of a label was accepted.
"""

import json
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pipeline.first_few import first_few
from pipeline.verdicts.verdict import Check, Decision

_SHOWN = 10


@dataclass(frozen=True)
class LabelChanges:
    """How the labels of the images differ from those of the serving version.

    Attributes:
        missing: labels of the serving version that no image shows.
        new: labels of images that the serving version does not know.
    """

    missing: tuple[str, ...]
    new: tuple[str, ...]

    def without(self, accepted: Collection[str]) -> "LabelChanges":
        """The changes that were not accepted."""
        return LabelChanges(
            tuple(label for label in self.missing if label not in accepted),
            tuple(label for label in self.new if label not in accepted),
        )

    def __bool__(self) -> bool:
        return bool(self.missing or self.new)

    def describe(self, version: int) -> str:
        """The changes as text, such as: label 'dog' of v1 is missing from the images, and 'owl' is new."""
        if not self.missing:
            return f"{_subject(self.new)} new"
        missing = f"{_subject(self.missing, of=f' of v{version}')} missing from the images"
        if not self.new:
            return missing
        return f"{missing}, and {quoted(self.new)} {'is' if len(self.new) == 1 else 'are'} new"


def changes(present: Collection[str], serving: Sequence[str]) -> LabelChanges:
    """Compare the labels of the images with those of the serving version."""
    return LabelChanges(
        missing=tuple(label for label in serving if label not in present),
        new=tuple(sorted(set(present) - set(serving))),
    )


def arrange(present: Collection[str], *, serving: Sequence[str], accepted: Collection[str]) -> tuple[str, ...]:
    """The candidate's labels, in the order of their indices.

    Args:
        present: the labels of the images.
        serving: the labels of the serving version, in their order; empty if nothing serves.
        accepted: the labels that may be added or removed. Only an accepted label that is missing is left out.
    """
    found = changes(present, serving)
    removed = set(found.missing) & set(accepted)
    return (*(label for label in serving if label not in removed), *found.new)


@dataclass(frozen=True)
class ApprovedLabels:
    """The labels that a candidate was approved with, and those of the version it is compared with.

    Attributes:
        version: the candidate.
        labels: its labels, in the order of their indices.
        serving: the serving version; None if nothing serves.
        serving_labels: its labels, likewise; empty if nothing serves.
    """

    version: int
    labels: tuple[str, ...]
    serving: int | None
    serving_labels: tuple[str, ...]

    def of(self, version: int) -> tuple[str, ...]:
        """The list that answers of one of the two versions must agree with.

        Answers of the serving version must agree with the candidate's list, because clients keep their indices. After
        an accepted removal they are compared with the serving version's own list.
        """
        if version == self.version:
            return self.labels
        if set(self.serving_labels) <= set(self.labels):
            return self.labels[: len(self.serving_labels)]
        return self.serving_labels


def judge_labels(
    labels: Sequence[str],
    *,
    present: Collection[str],
    accepted: Collection[str],
    serving_version: int,
    serving: Sequence[str] | None,
    arranged_for: int | None,
) -> list[Check]:
    """Check the candidate's labels against those of the version it was compared with.

    `force` does not change the checks.

    Args:
        labels: the candidate's, in the order of their indices.
        present: the labels that images show.
        accepted: the labels that a person allowed to be added or removed.
        serving_version: the version that the candidate was compared with.
        serving: the labels of that version; None if they were not recorded.
        arranged_for: the version whose order the snapshot has kept.
    """
    if serving is None:
        reason = f"the labels of v{serving_version} were not recorded by `evaluate`; trigger a new run"
        return [Check(decision=Decision.UNKNOWN, reason=reason)]
    found = changes(present, serving)
    refused = found.without(accepted)
    if refused:
        reason = f"{refused.describe(serving_version)}; v{serving_version} still serves; {advice(found)}"
        return [Check(decision=Decision.FAIL, reason=reason)]
    if tuple(labels) != arrange(present, serving=serving, accepted=accepted):
        reason = (
            f"the labels are not in the order of v{serving_version}, which serves: `snapshot` has arranged them for "
            f"{f'v{arranged_for}' if arranged_for is not None else 'a first version'}; v{serving_version} still "
            f"serves; trigger a new run"
        )
        return [Check(decision=Decision.FAIL, reason=reason)]
    return [Check(decision=Decision.PASS, reason=_agreement(labels, serving, version=serving_version))]


def advice(found: LabelChanges) -> str:
    """A sentence on how to accept all changes.

    It names those that this run accepts too: the next run has its own form.
    """
    names = [*found.missing, *found.new]
    listed = json.dumps(names[:_SHOWN], ensure_ascii=False)
    if len(names) > _SHOWN:
        listed = f"with these and {len(names) - _SHOWN} more labels (snapshot.json of this run has all): {listed}"
    return (
        f"if you want the change, trigger a run with accept_labels {listed} and a note that says why; else correct "
        f"the folders of images and trigger a new run"
    )


def quoted(labels: Sequence[str]) -> str:
    """Labels for a message: the first ten, and how many more there are."""
    return first_few(labels, _SHOWN, shown=_quoted)


def _quoted(label: str) -> str:
    """A label for a message.

    Two labels can look the same and differ in their code points, so an unusual one shows these too.
    """
    return repr(label) if unicodedata.is_normalized("NFC", label) else f"{label!r} (that is {label!a})"


def _subject(labels: Sequence[str], *, of: str = "") -> str:
    return f"label {quoted(labels)}{of} is" if len(labels) == 1 else f"labels {quoted(labels)}{of} are"


def _agreement(labels: Sequence[str], serving: Sequence[str], *, version: int) -> str:
    added = [label for label in labels if label not in serving]
    removed = [label for label in serving if label not in labels]
    accepted = [
        *([f"{quoted(added)} added as accepted"] if added else []),
        *([f"{quoted(removed)} removed as accepted"] if removed else []),
    ]
    return f"labels keep the order of v{version}" + "".join(f", {each}" for each in accepted)
