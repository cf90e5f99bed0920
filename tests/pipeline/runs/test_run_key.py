"""A run key is a folder name that says what kind of run it is, and, where it contains a time, when it was asked for."""

from datetime import UTC, datetime

import pytest

from pipeline.errors import BadInputError
from pipeline.runs.run_key import Kind, RunKey, is_rollback, is_run_key


@pytest.mark.parametrize("key", ["retrain-20260101000000000000", "rollback-1", "manual-a-b"])
def test_run_keys(key: str) -> None:
    assert is_run_key(key)
    assert key == RunKey(key)


@pytest.mark.parametrize("key", ["", "retrain", "../x-1", "retrain-1/2", "Retrain-1", "retrain-$(x)", "a-" + "1" * 61])
def test_what_is_not_a_run_key(key: str) -> None:
    assert not is_run_key(key)
    with pytest.raises(BadInputError, match="does not have the form"):
        RunKey(key)


def test_a_new_key_says_its_kind_and_its_moment() -> None:
    before = datetime.now(UTC)

    key = RunKey.new(Kind.ROLLBACK)

    assert key.kind == Kind.ROLLBACK
    assert key.moment is not None
    assert before <= key.moment <= datetime.now(UTC)


def test_a_key_that_begins_with_no_time_has_no_moment() -> None:
    assert RunKey("demo-a").moment is None


def test_a_moment_of_airflow_is_read_to_the_microsecond() -> None:
    assert RunKey("retrain-20260102030405678901").moment == datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)


def test_only_the_kind_before_the_hyphen_makes_a_roll_back() -> None:
    assert is_rollback("rollback-1")
    assert not is_rollback("rollbacks-1")
    assert not is_rollback("retrain-rollback-1")
