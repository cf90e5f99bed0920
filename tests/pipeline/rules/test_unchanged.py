"""A run that no person has asked for does not repeat the newest run that was decided."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import DeclinedError
from pipeline.rules import readmission
from pipeline.rules import run as run_rules
from pipeline.rules.unchanged import (
    PARAMETERS,
    Conditions,
    DecidedRun,
    changes_between,
    decision_about,
    require_new_data,
)
from pipeline.spec import GatePolicy, Imported, ModelSpec, SmallNetwork
from pipeline.verdicts.verdict import Decision, Verdict
from tests.pipeline.journal.test_journal import Releases
from tests.releases import SPEC

NOW = Conditions(code_version="v1", model=SPEC, installed="p" * 64)
NEWEST = DecidedRun(key="retrain-1", data="d" * 64, decision="v4 was promoted", conditions=NOW)


def test_an_event_with_the_images_of_the_newest_decided_run_is_declined_and_that_run_is_named() -> None:
    with pytest.raises(DeclinedError) as refused:
        require_new_data("d" * 64, newest=NEWEST, model="pets", by_event=True)

    assert (
        "an event has started this run, and the images are those of run retrain-1 (data digest dddddddddddd), after "
        "which v4 was promoted. Nothing is trained. To train on the same images again, trigger `retrain_pets`"
    ) == str(refused.value)


def test_the_message_of_a_scheduled_run_says_what_was_compared_with_which_run_and_how_to_train() -> None:
    with pytest.raises(DeclinedError) as refused:
        require_new_data("d" * 64, newest=NEWEST, model="pets", by_event=False)

    assert (
        "nothing has changed since run retrain-1, after which v4 was promoted: this scheduled run has the same images "
        "(data digest dddddddddddd), code (version v1), parameters (`training`, `image`, `data`, `gate`, `canary` of "
        "the model file) and installed packages. Nothing is trained. To train all the same, trigger `retrain_pets`"
    ) == str(refused.value)


@pytest.mark.parametrize("newest", [NEWEST, None])
@pytest.mark.parametrize("by_event", [True, False])
def test_other_images_and_the_first_run_are_trained_on(newest: DecidedRun | None, *, by_event: bool) -> None:
    require_new_data("e" * 64, newest=newest, model="pets", by_event=by_event)


def test_the_same_conditions_have_no_changes() -> None:
    assert () == changes_between(NOW, replace(NOW, model=SPEC.model_copy(deep=True)))


@pytest.mark.parametrize(
    ("before", "now", "change"),
    [
        ("v1", "v2", "the code (version v1, now v2)"),
        ("v1", "unknown", "the code (version v1, now unknown)"),
        ("unknown", "unknown", "perhaps the code (version unknown says not exactly which code that is)"),
        ("v1-dirty", "v1-dirty", "perhaps the code (version v1-dirty says not exactly which code that is)"),
    ],
)
def test_code_that_is_another_or_cannot_be_told_counts_as_changed(before: str, now: str, change: str) -> None:
    assert (change,) == changes_between(replace(NOW, code_version=before), replace(NOW, code_version=now))


@pytest.mark.parametrize(
    ("before", "change"),
    [
        ("q" * 64, "the installed packages"),
        ("", "perhaps the installed packages (that run has not recorded them)"),
    ],
)
def test_packages_that_are_others_or_were_not_recorded_count_as_changed(before: str, change: str) -> None:
    assert (change,) == changes_between(replace(NOW, installed=before), NOW)


@pytest.mark.parametrize(
    ("before", "now", "changed"),
    [
        ("a" * 64, "a" * 64, ()),
        ("a" * 64, "b" * 64, ("the file with the function of the network",)),
        ("", "b" * 64, ("the file with the function of the network (that run has recorded none)",)),
    ],
)
def test_the_file_of_a_users_network_counts_beside_the_version_of_the_code(
    before: str, now: str, changed: tuple[str, ...]
) -> None:
    assert changed == changes_between(replace(NOW, network_source=before), replace(NOW, network_source=now))


def test_an_imported_model_is_named_as_in_the_model_file() -> None:
    first, second = (
        SPEC.model_copy(update={"training": None, "imported": Imported(model=model, labels=("cat", "dog"))})
        for model in ("a.keras", "b.keras")
    )
    now = replace(NOW, model=second)
    with pytest.raises(DeclinedError, match="parameters \\(`import`, `image`, "):
        require_new_data("d" * 64, newest=replace(NEWEST, conditions=now), model="pets", by_event=False)

    assert ("import.model (a.keras, now b.keras)",) == changes_between(replace(NOW, model=first), now)


def test_each_parameter_that_has_changed_is_named_with_both_values() -> None:
    assert SPEC.training
    training = SPEC.training.model_copy(update={"epochs": 9, "network": SmallNetwork(dense=8)})
    after = SPEC.model_copy(update={"training": training, "gate": GatePolicy(margin=0.5)})

    assert (
        "gate.margin (0.02, now 0.5)",
        "training.epochs (1, now 9)",
        "training.network.dense (64, now 8)",
    ) == changes_between(NOW, replace(NOW, model=after))


def test_every_group_of_a_model_file_either_counts_or_has_no_effect_on_the_candidate() -> None:
    """Whoever adds one has to decide."""
    free = {"name", "description", "owner", "schedule", "retention", "automatic_rollback", "new_images"}

    assert set(ModelSpec.model_fields) == {*PARAMETERS, *free}


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    """v1 and then v2 were promoted."""
    made = Releases(tmp_path / "bucket")
    made.release("retrain-1", "one")
    made.release("retrain-2", "two")
    return made


def test_a_promoted_version_is_decided(releases: Releases) -> None:
    assert "v2 was promoted" == decision_about(releases.history(), 2, promoted=True)


def test_after_a_roll_back_it_is_said_who_withdrew_the_promoted_version_and_why(releases: Releases) -> None:
    """The same images would give a similar model, after the person who rolled back has lifted the hold too."""
    history = releases.roll_back(1, "rollback-1")
    decision = decision_about(history, 2, promoted=True)

    assert decision
    assert decision.startswith("v2 was promoted, and then withdrawn by ann on 2")
    assert decision.endswith("UTC (bad)")


def test_nothing_is_decided_about_a_model_that_a_person_has_readmitted(releases: Releases) -> None:
    releases.roll_back(1, "rollback-1")
    history = releases.journal("readmit-1").decide(lambda h: readmission.readmit(h, version=2, reason="a broken disk"))

    assert decision_about(history, 2, promoted=True) is None


def test_a_roll_back_to_a_withdrawn_version_decides_for_it(releases: Releases) -> None:
    releases.roll_back(1, "rollback-1")

    assert "v2 was promoted" == decision_about(releases.roll_back(2, "rollback-2"), 2, promoted=True)


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (Verdict(decision=Decision.FAIL, reasons=("7 of 20 golden answers differ",)), "v3 was withdrawn on 2"),
        (Verdict(decision=Decision.UNKNOWN, reasons=("no answer",)), ""),
        (None, ""),
    ],
    ids=["wrong answers", "the canary could not tell", "the run stopped"],
)
def test_a_candidate_is_decided_if_it_was_withdrawn_for_its_answers(
    releases: Releases, verdict: Verdict | None, expected: str
) -> None:
    version = releases.publish("retrain-3", "three")
    releases.expose("retrain-3", version)
    assert decision_about(releases.history(), version, promoted=False) is None
    history = releases.journal("retrain-3").decide(
        lambda h: run_rules.withdraw(h, version=version, run_key="retrain-3", reason=str(verdict), verdict=verdict)
    )
    decision = decision_about(history, version, promoted=False)

    assert bool(expected) == bool(decision)
    assert (decision or "").startswith(expected)
    assert not expected or "golden answers differ" in (decision or "")
