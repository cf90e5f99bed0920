"""A run that nobody has asked for does not repeat the newest run that was decided."""

import pytest

from pipeline.errors import DeclinedError
from pipeline.rules.unchanged import DecidedRun, require_new_data

NEWEST = DecidedRun(key="retrain-1", data="d" * 64, decision="v4 was promoted")


def test_the_images_of_the_newest_decided_run_are_declined_and_that_run_is_named() -> None:
    with pytest.raises(DeclinedError) as refused:
        require_new_data("d" * 64, newest=NEWEST, model="pets")

    assert (
        "an event has started this run, and the images are those of run retrain-1 (data digest dddddddddddd), after "
        "which v4 was promoted. Nothing is trained. To train on the same images again, trigger `retrain_pets`"
    ) == str(refused.value)


@pytest.mark.parametrize("newest", [NEWEST, None])
def test_other_images_and_the_first_run_are_trained_on(newest: DecidedRun | None) -> None:
    require_new_data("e" * 64, newest=newest, model="pets")
