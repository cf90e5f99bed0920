"""The lines that people read while a network is trained."""

import logging
import re

import pytest

from pipeline.training.fitting.progress import Progress, spoken


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.26, "0.3 s"), (12.4, "12 s"), (119.0, "119 s"), (240.0, "4 min"), (9000.0, "2.5 h")]
)
def test_times_are_in_the_unit_that_people_use(seconds: float, text: str) -> None:
    assert text == spoken(seconds)


def test_an_epoch_has_its_metrics_the_best_one_and_the_time_that_is_left(caplog: pytest.LogCaptureFixture) -> None:
    progress = Progress(first=2, epochs=5, steps=10, name="head")
    with caplog.at_level(logging.INFO):
        progress.epoch(3, {"train/loss": 0.25, "validation/accuracy": 1.0}, best=2)
        progress.epoch(5, {"train/loss": 0.2}, best=5)

    first, last = caplog.messages
    assert re.fullmatch(
        r"epoch 3 of 5: head, train/loss 0\.2500, validation/accuracy 1\.0000; best: 2; 0\.0 s an epoch, "
        r"about 0\.0 s left",
        first,
    )
    assert re.fullmatch(r"epoch 5 of 5: head, train/loss 0\.2000; best: 5; 0\.0 s an epoch, the last one", last)


def test_a_long_epoch_says_now_and_then_that_it_goes_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    progress = Progress(first=0, epochs=2, steps=100, name="")
    with caplog.at_level(logging.INFO):
        for step in range(1, 101):
            now[0] += 1.0
            progress.step(step)

    assert [f"{step} of 100 steps of this epoch" for step in (30, 60, 90)] == caplog.messages
