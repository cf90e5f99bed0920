"""A few of many things in a message."""

import pytest

from pipeline.first_few import first_few


@pytest.mark.parametrize(
    ("expected", "count"), [("", 0), ("0", 1), ("0, 1", 2), ("0, 1 and 1 more", 3), ("0, 1 and 999,998 more", 10**6)]
)
def test_the_first_are_named_and_the_others_counted(expected: str, count: int) -> None:
    assert expected == first_few(range(count), 2)


def test_where_a_comma_may_be_in_a_name_another_separator_stands_also_before_the_rest() -> None:
    assert "'a, b'; 'c'; and 1 more" == first_few(["a, b", "c", "d"], 2, shown=repr, separator="; ")
