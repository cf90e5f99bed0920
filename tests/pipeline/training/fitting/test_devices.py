"""The facts about where a network was trained, after a resume on another machine."""

import pytest

from pipeline.training.fitting.devices import facts_after_resume

CPU = {"device": "CPU, 2 cores", "precision": "float32", "repeatable": "yes, on a CPU of this kind"}
OTHER = CPU | {"device": "CPU, 8 cores"}
GPU = {"device": "1 GPU (T4)", "precision": "mixed_float16", "repeatable": "no: sums on GPUs have no fixed order"}


def test_on_the_same_kind_of_machine_they_stay_and_other_facts_with_them() -> None:
    before = CPU | {"began with": "random weights"}

    assert before == facts_after_resume(before, CPU)


@pytest.mark.parametrize(("before", "now"), [(CPU, GPU), (GPU, CPU)])
def test_a_part_that_cannot_be_repeated_counts_for_the_whole_training(
    before: dict[str, str], now: dict[str, str]
) -> None:
    facts = facts_after_resume(before, now)

    assert GPU["repeatable"] == facts["repeatable"]
    assert f"{before['device']}; then {now['device']}" == facts["device"]
    assert f"{before['precision']}; then {now['precision']}" == facts["precision"]


@pytest.mark.parametrize(
    ("now", "then"),
    [
        (OTHER, "CPU, 8 cores in float32"),
        (CPU | {"precision": "mixed_float16"}, "CPU, 2 cores in mixed_float16"),
    ],
)
def test_another_device_or_precision_makes_it_unrepeatable(now: dict[str, str], then: str) -> None:
    expected = f"no: trained on CPU, 2 cores in float32, then on {then}"

    assert expected == facts_after_resume(CPU, now)["repeatable"]


def test_each_device_is_named_once_however_often_the_training_was_killed() -> None:
    facts: dict[str, str] = CPU
    for now in (OTHER, OTHER, CPU):
        facts = facts_after_resume(facts, now)

    assert "CPU, 2 cores; then CPU, 8 cores" == facts["device"]
    assert facts["repeatable"].startswith("no: trained on CPU, 2 cores")
