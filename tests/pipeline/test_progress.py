"""Long work says how far it is; short work says nothing."""

import logging

import pytest

from pipeline import progress


def test_items_pass_through_and_short_work_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        passed = list(progress.logged(["a", "b"], "letters"))

    assert ["a", "b"] == passed
    assert "" == caplog.text


def test_long_work_says_how_far_it_is(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_SECONDS", 0.0)
    with caplog.at_level(logging.INFO):
        list(progress.logged(["a", "b"], "letters", total=2))

    assert ["letters: 1 of 2", "letters: 2 of 2"] == caplog.messages
