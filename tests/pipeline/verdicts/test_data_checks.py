"""The verdicts about a snapshot: each limit, the numbers in its reason, and its name in the YAML."""

from typing import Any

import pytest

from pipeline.spec import DataChecks
from pipeline.verdicts.data_checks import judge_data, relative_change
from pipeline.verdicts.measurements import DataSummary, LabelErrors, Suspect
from pipeline.verdicts.verdict import Decision


def summary(cat: int = 300, dog: int = 100, **figures: Any) -> DataSummary:
    counts = {label: {"train": count} for label, count in {"cat": cat, "dog": dog}.items() if count}
    return DataSummary.model_validate({"files": 400, "counts": counts} | figures)


def errors(count: int, *, examined: int) -> LabelErrors:
    suspect = Suspect(path="a.png", label="cat", suggested="dog", probability=0.9, given_probability=0.1)
    return LabelErrors(version=7, examined=examined, suspects=(suspect,) * count)


@pytest.mark.parametrize(
    ("reason", "found", "checks"),
    [
        ("unusable files 1 of 400 (0.25%) > 0% (data.checks.unusable)", {"unusable": 1}, {}),
        ("unusable files 40 of 400 (10%) > 5% (data.checks.unusable)", {"unusable": 40}, {"unusable": 0.05}),
        ("images of label 'dog' 100 < 150 (data.checks.class_images)", {}, {"class_images": 150}),
        (
            "2 labels have fewer than 301 images: 'dog', 'cat'; the rarest has 100 (data.checks.class_images)",
            {},
            {"class_images": 301},
        ),
        (
            "imbalance 3 > 2 (data.checks.imbalance): 'cat' has 300 images, 'dog' 100",
            {},
            {"imbalance": 2},
        ),
        ("blank images 41 of 400 (10%) > 10% (data.checks.blank)", {"blank": 41}, {}),
        ("images with a side below 8 pixels 80 of 400 (20%) > 10% (data.checks.tiny)", {"tiny": 80}, {}),
    ],
)
def test_each_limit_fails_by_itself_and_says_its_numbers_and_its_key(
    reason: str, found: dict[str, Any], checks: dict[str, Any]
) -> None:
    verdict = judge_data(summary(**found), None, DataChecks(**checks), suspects=None)

    assert (Decision.FAIL, (reason,)) == (verdict.decision, verdict.reasons)


@pytest.mark.parametrize(
    ("found", "checks"),
    [
        ({"unusable": 20}, {"unusable": 0.05}),
        ({}, {"class_images": 100}),
        ({}, {"imbalance": 3}),
        ({"blank": 40}, {}),
        ({"tiny": 40}, {}),
        ({"unusable": 0}, {"unusable": 0}),
    ],
)
def test_a_figure_at_its_limit_passes(found: dict[str, Any], checks: dict[str, Any]) -> None:
    assert Decision.PASS is judge_data(summary(**found), None, DataChecks(**checks), suspects=None).decision


def test_what_has_no_limit_is_measured_all_the_same() -> None:
    unlimited = DataChecks(blank=None, tiny=None, label_errors=None)
    found = summary(blank=300, tiny=300)
    verdict = judge_data(found, summary(cat=1), unlimited, suspects=errors(60, examined=60))

    assert Decision.PASS is verdict.decision
    assert verdict.reasons == (
        "unusable files 0 of 400 (0%) <= 0%",
        "the rarest label is 'dog' with 100 images",
        "imbalance 3: 'cat' has 300 images, 'dog' 100",
        "label 'cat' changed by +29,900% (1 -> 300)",
        "blank images 300 of 400 (75%)",
        "images with a side below 8 pixels 300 of 400 (75%)",
        "suspected label errors, says v7, 60 of 60 (100%)",
    )


def test_all_failures_are_named_at_once() -> None:
    verdict = judge_data(summary(unusable=9, blank=300), None, DataChecks(imbalance=1), suspects=None)

    assert ["unusable", "imbalance", "blank"] == [
        key for key in ("unusable", "tiny", "imbalance", "blank") if f"data.checks.{key})" in str(verdict)
    ]


class TestTheSnapshotBefore:
    @pytest.mark.parametrize(("dogs", "change"), [(40, "-60% (100 -> 40)"), (260, "+160% (100 -> 260)")])
    def test_a_class_may_neither_shrink_nor_grow_by_more(self, dogs: int, change: str) -> None:
        verdict = judge_data(summary(dog=dogs), summary(), DataChecks(class_change=0.5), suspects=None)

        assert (f"label 'dog' changed by {change} > 50% (data.checks.class_change)",) == verdict.reasons

    def test_the_largest_of_several_changes_is_shown_and_the_others_are_counted(self) -> None:
        verdict = judge_data(summary(dog=300, cat=600), summary(), DataChecks(class_change=0.5), suspects=None)

        assert verdict.reasons == (
            "label 'dog' changed by +200% (100 -> 300) > 50% (data.checks.class_change); 1 more label changed by "
            "more than that limit",
        )

    def test_a_class_that_vanished_or_appeared_is_named_and_not_judged(self) -> None:
        """Whether it may is decided in comparison with the serving version, by the gate."""
        before = DataSummary(files=4, counts={"cat": {"train": 300}, "ant": {"train": 3}, "bee": {"train": 1}})
        verdict = judge_data(summary(), before, DataChecks(class_change=0.5), suspects=None)

        assert Decision.PASS is verdict.decision
        assert "labels 'ant', 'bee' vanished since the snapshot before" in verdict.reasons
        assert "label 'dog' appeared since the snapshot before" in verdict.reasons

    def test_none_at_all_is_no_change(self) -> None:
        verdict = judge_data(summary(), None, DataChecks(class_change=0.5), suspects=None)

        assert Decision.PASS is verdict.decision
        assert "changed" not in str(verdict)


class TestLabelErrors:
    def test_too_many_are_refused(self) -> None:
        verdict = judge_data(summary(), None, DataChecks(), suspects=errors(21, examined=100))

        assert ("suspected label errors, says v7, 21 of 100 (21%) > 20% (data.checks.label_errors)",) == verdict.reasons

    def test_a_few_images_are_too_few_to_judge(self) -> None:
        verdict = judge_data(summary(), None, DataChecks(), suspects=errors(49, examined=49))

        assert Decision.PASS is verdict.decision
        assert "49 of 49 images; fewer than 50 images are not judged" in str(verdict)


@pytest.mark.parametrize("files", [0, 5])
def test_no_usable_image_is_a_failure_in_words(files: int) -> None:
    verdict = judge_data(DataSummary(files=files, unusable=files), None, DataChecks(unusable=1), suspects=None)

    assert (
        f"none of {files} files is an image that can be used; correct `data.images`, or add images",
    ) == verdict.reasons


def test_equal_classes_are_not_named() -> None:
    assert "imbalance 1: each label has 100 images" in str(
        judge_data(summary(cat=100), None, DataChecks(), suspects=None)
    )


def test_one_class_alone_has_no_imbalance() -> None:
    verdict = judge_data(summary(dog=0), None, DataChecks(imbalance=1), suspects=None)

    assert Decision.PASS is verdict.decision


def test_a_label_with_odd_characters_cannot_break_the_line() -> None:
    found = DataSummary(files=2, counts={"new\nline": {"train": 1}, "x": {"train": 9}})
    verdict = judge_data(found, None, DataChecks(class_images=5), suspects=None)

    assert (r"images of label 'new\nline' 1 < 5 (data.checks.class_images)",) == verdict.reasons


def test_growth_from_nothing_is_infinite() -> None:
    assert (float("inf"), 0.0) == (relative_change(1, 0), relative_change(0, 0))
