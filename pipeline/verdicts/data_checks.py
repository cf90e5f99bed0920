"""Decide whether a snapshot's images may be trained on, from its figures. Pure.

Labels that are missing or new in comparison with the serving version are judged in `verdicts.labels`. Here a class that
has vanished or is new since the snapshot before is named, and nothing more.
"""

import math
from collections.abc import Mapping

from pipeline.spec import DataChecks
from pipeline.verdicts.labels import quoted
from pipeline.verdicts.measurements import DataSummary, LabelErrors
from pipeline.verdicts.verdict import Check, Decision, Verdict, conclude

# Of fewer images than this, a share says little: one of three would be above most limits.
FEWEST_EXAMINED = 50


def judge_data(
    found: DataSummary, previous: DataSummary | None, checks: DataChecks, *, suspects: LabelErrors | None
) -> Verdict:
    """The verdict about a snapshot: each limit, and the figure of each limit that is not set.

    Args:
        found: the figures of the snapshot.
        previous: those of the snapshot before; None if there is none.
        checks: the limits of the model file.
        suspects: suspected label errors; None if they were not looked for.
    """
    totals = found.totals()
    results = [_unusable(found, checks)]
    if not found.images():
        results.append(Check(decision=Decision.FAIL, reason=_no_images(found)))
        return conclude(results)
    results += [
        _class_images(totals, checks.class_images),
        _imbalance(found, checks.imbalance),
        *_changes(totals, previous, checks.class_change),
        _share("blank images", found.blank, found.images(), checks.blank, key="data.checks.blank"),
        _share(
            f"images with a side below {checks.tiny_edge} pixels",
            found.tiny,
            found.images(),
            checks.tiny,
            key="data.checks.tiny",
        ),
        *_label_errors(suspects, checks.label_errors),
    ]
    return conclude(results)


def _unusable(found: DataSummary, checks: DataChecks) -> Check:
    return _share("unusable files", found.unusable, found.files, checks.unusable, key="data.checks.unusable")


def _no_images(found: DataSummary) -> str:
    return f"none of {found.files} files is an image that can be used; correct `data.images`, or add images"


def _class_images(totals: Mapping[str, int], fewest: int | None) -> Check:
    rarest = _rarest(totals)
    if fewest is None:
        return _passed(f"the rarest label is {quoted([rarest])} with {_images(totals[rarest])}")
    scarce = sorted((label for label, count in totals.items() if count < fewest), key=lambda each: totals[each])
    if not scarce:
        return _passed(f"images of label {quoted([rarest])}, the rarest, {totals[rarest]} >= {fewest}")
    if len(scarce) == 1:
        reason = f"images of label {quoted(scarce)} {totals[rarest]} < {fewest}"
    else:
        reason = (
            f"{len(scarce)} labels have fewer than {fewest} images: {quoted(scarce)}; the rarest has {totals[rarest]}"
        )
    return Check(decision=Decision.FAIL, reason=f"{reason} (data.checks.class_images)")


def _imbalance(found: DataSummary, most: float | None) -> Check:
    totals = found.totals()
    rarest, frequent = _rarest(totals), max(sorted(totals), key=totals.__getitem__)
    value = found.imbalance()
    between = (
        f"each label has {_images(totals[rarest])}"
        if totals[rarest] == totals[frequent]
        else f"{quoted([frequent])} has {_images(totals[frequent])}, {quoted([rarest])} {totals[rarest]:,}"
    )
    return _limited(f"imbalance {value:.4g}", value, most, key="data.checks.imbalance", after=f": {between}")


def _changes(totals: Mapping[str, int], previous: DataSummary | None, most: float | None) -> list[Check]:
    if previous is None:
        return []
    before = previous.totals()
    return [*_named_changes(totals, before), *_class_change(totals, before, most)]


def _named_changes(totals: Mapping[str, int], before: Mapping[str, int]) -> list[Check]:
    vanished = sorted(label for label in before if label not in totals)
    new = sorted(label for label in totals if label not in before)
    return [
        _passed(f"{'label' if len(labels) == 1 else 'labels'} {quoted(labels)} {what} since the snapshot before")
        for labels, what in ((vanished, "vanished"), (new, "appeared"))
        if labels
    ]


def _class_change(totals: Mapping[str, int], before: Mapping[str, int], most: float | None) -> list[Check]:
    changes = {label: relative_change(totals[label], before[label]) for label in totals if label in before}
    if not changes:
        return []
    largest = max(sorted(changes), key=lambda label: abs(changes[label]))
    over = [label for label in sorted(changes) if most is not None and abs(changes[label]) > most]
    more = f"; {_more(len(over) - 1)} changed by more than that limit" if len(over) > 1 else ""
    value = abs(changes[largest])
    counts = f"{before[largest]:,} -> {totals[largest]:,}"
    numbers = f"label {quoted([largest])} changed by {percent(changes[largest], signed=True)} ({counts})"
    return [_limited(numbers, value, most, key="data.checks.class_change", after=more, as_share=True)]


def relative_change(now: int, before: int) -> float:
    """By which share of `before` a number has grown; negative if it shrank, infinite if it was 0."""
    if before == 0:
        return math.inf if now else 0.0
    return (now - before) / before


def percent(share: float, *, signed: bool = False) -> str:
    """A share for people, with two digits or more: 0.25%, 12%, +7,830%."""
    value = 100 * share
    digits = ",.0f" if abs(value) >= 9.95 else ".2g"
    return f"{value:{'+' if signed else ''}{digits}}%"


def _label_errors(suspects: LabelErrors | None, most: float | None) -> list[Check]:
    if suspects is None:
        return []
    what = f"suspected label errors, says v{suspects.version},"
    if suspects.examined < FEWEST_EXAMINED:
        measured = f"{what} {len(suspects.suspects)} of {suspects.examined} images"
        return [_passed(f"{measured}; fewer than {FEWEST_EXAMINED} images are not judged")]
    key = "data.checks.label_errors"
    return [_share(what, len(suspects.suspects), suspects.examined, most, key=key)]


def _share(name: str, count: int, total: int, most: float | None, *, key: str) -> Check:
    value = count / total if total else 0.0
    return _limited(f"{name} {count:,} of {total:,} ({percent(value)})", value, most, key=key, as_share=True)


def _limited(
    measured: str, value: float, most: float | None, *, key: str, after: str = "", as_share: bool = False
) -> Check:
    """Check that `value` is at most `most`; without a limit, only say what was measured."""
    if most is None:
        return _passed(f"{measured}{after}")
    limit = percent(most) if as_share else f"{most:,.4g}"
    if value <= most:
        return _passed(f"{measured} <= {limit}{after}")
    return Check(decision=Decision.FAIL, reason=f"{measured} > {limit} ({key}){after}")


def _passed(reason: str) -> Check:
    return Check(decision=Decision.PASS, reason=reason)


def _rarest(totals: Mapping[str, int]) -> str:
    return min(sorted(totals), key=totals.__getitem__)


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"


def _more(count: int) -> str:
    return "1 more label" if count == 1 else f"{count} more labels"
