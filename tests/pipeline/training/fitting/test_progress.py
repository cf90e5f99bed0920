"""The lines that people read while a network is trained."""

import logging

import pytest

from pipeline.training.fitting.progress import Progress, spoken


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.26, "0.3 s"), (12.4, "12 s"), (119.0, "119 s"), (240.0, "4 min"), (9000.0, "2.5 h")]
)
def test_times_are_in_the_unit_that_people_use(seconds: float, text: str) -> None:
    assert text == spoken(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_an_epoch_has_its_metrics_the_best_one_and_the_time_that_is_left(
    caplog: pytest.LogCaptureFixture, clock: list[float]
) -> None:
    progress = Progress(first=2, last=5, later=0, total=5, steps=10, name="")
    with caplog.at_level(logging.INFO):
        clock[0] = 3.0
        progress.epoch(3, {"train/loss": 0.25, "validation/accuracy": 1.0}, best=2, is_over=False)
        clock[0] = 9.0
        progress.epoch(5, {"train/loss": 0.2}, best=5, is_over=True)

    assert [
        "epoch 3 of 5: train/loss 0.2500, validation/accuracy 1.0000; best: 2; 3.0 s an epoch, about 6.0 s left",
        "epoch 5 of 5: train/loss 0.2000; best: 5; 3.0 s an epoch, the last one",
    ] == caplog.messages


@pytest.mark.parametrize(
    ("last", "later", "is_over", "rest"),
    [
        (4, 3, False, "about 5.0 s left"),
        (2, 3, True, "the last one of this phase, about 3.0 s left"),
        (4, 3, True, "the last one of this phase: it stops early, about 3.0 s left"),
        (4, 0, True, "the last one: it stops early"),
    ],
)
def test_only_the_end_of_the_training_is_called_the_last_one(
    caplog: pytest.LogCaptureFixture, clock: list[float], last: int, later: int, rest: str, *, is_over: bool
) -> None:
    progress = Progress(first=0, last=last, later=later, total=7, steps=10, name="head")
    clock[0] = 2.0
    with caplog.at_level(logging.INFO):
        progress.epoch(2, {"train/loss": 1.0}, best=1, is_over=is_over)

    assert [f"epoch 2 of 7: head, train/loss 1.0000; best: 1; 1.0 s an epoch, {rest}"] == caplog.messages


def test_a_long_epoch_says_now_and_then_how_far_it_is(caplog: pytest.LogCaptureFixture, clock: list[float]) -> None:
    progress = Progress(first=0, last=2, later=0, total=2, steps=100, name="")
    with caplog.at_level(logging.INFO):
        for step in range(1, 101):
            clock[0] += 1.0
            progress.step(step)

    assert [f"{step} of 100 steps of this epoch" for step in (30, 60, 90)] == caplog.messages
