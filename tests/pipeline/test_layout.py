"""Building and parsing keys are inverse, and nothing we did not write is taken for ours."""

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
