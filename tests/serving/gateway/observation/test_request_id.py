"""Ids of requests."""

import re

import pytest

from serving.gateway.observation.request_id import request_id


@pytest.mark.parametrize(
    "offered",
    [
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "6a2f41a3-c54c-fce8-32d2-0324e1c32e22",
        "0af7651916cd43dd8448eb211c80319c",
        "a" * 64,
    ],
)
def test_the_id_of_a_client_is_kept(offered: str) -> None:
    assert offered == request_id(offered)


@pytest.mark.parametrize(
    "offered",
    [
        None,
        "",
        "short",
        "a" * 65,
        "-" * 12,
        "12345678\n",
        "1234 5678",
        '12345678","x":"',
        "12345678\x1b[2J",
        "üüüüüüüü",
    ],
)
def test_anything_else_gets_an_id_made_here(offered: str | None) -> None:
    made = request_id(offered)

    assert re.fullmatch("[0-9a-f]{32}", made)
    assert made != request_id(offered)
