"""Building and parsing keys are inverse, and nothing we did not write is taken for ours."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import layout


@given(st.integers(min_value=1, max_value=99_999_999))
def test_an_entrys_name_gives_its_sequence_back(sequence: int) -> None:
    folder, _, name = layout.entry("digits", sequence).rpartition("/")

    assert layout.journal("digits") == folder
    assert sequence == layout.entry_sequence(name)


@given(st.integers(min_value=1, max_value=10**18 - 1))
def test_a_versions_name_gives_its_number_back(number: int) -> None:
    folder, _, name = layout.version("digits", number).rpartition("/")

    assert layout.versions("digits") == folder
    assert number == layout.version_number(name)


@pytest.mark.parametrize("name", ["007", "+5", "-1", "0", " 5", "5 ", str(2**63), "1.tmp", "v1", "1_0", "", "٣"])
def test_names_that_a_server_may_read_as_a_version_are_not_ours(name: str) -> None:
    """F49."""
    assert layout.version_number(name) is None


@given(st.datetimes(timezones=st.just(UTC)).filter(lambda moment: moment.year >= 1000))
def test_the_name_of_a_list_of_images_gives_its_moment_back(moment: datetime) -> None:
    key = layout.snapshot_manifest("digits", f"{moment:%Y%m%dT%H%M%S%fZ}", "0123456789abcdef" * 4)
    folder, _, name = key.rpartition("/")

    assert layout.snapshots("digits") == folder
    assert layout.is_snapshot_manifest(name)
    assert moment == layout.snapshot_moment(name)


@pytest.mark.parametrize(
    "name", ["parts", "lost", "", "20269901T000000000000Z-0123456789abcdef", "20260101T000000000000Z-0123456789abcde"]
)
def test_names_that_are_no_list_of_images_have_no_moment(name: str) -> None:
    assert None is layout.snapshot_moment(name)
