"""The limit on the values of a JSON body."""

import pytest

from serving.gateway.errors import GatewayError
from serving.gateway.uploads.encoded import images_of
from serving.gateway.uploads.json_values import check_values


@pytest.mark.parametrize("value", [b"1,", b'"",', b"[],", b"{},", b'{"a":', b"["])
def test_each_kind_of_value_counts(value: bytes) -> None:
    check_values(value * 10, limit=20)
    with pytest.raises(GatewayError, match="more than 9 values") as refused:
        check_values(value * 10, limit=9)

    assert 413 == refused.value.status


def test_what_follows_the_json_does_not_count() -> None:
    check_values(b"[1]" + b"," * 100, limit=1, end=3)


def test_a_body_of_small_values_is_refused_before_it_is_parsed() -> None:
    """32 MB of `[],` took 936 MB and 5 seconds of the event loop."""
    with pytest.raises(GatewayError, match="more than 100,000 values"):
        images_of(b'{"images":[' + b"[]," * 60_000 + b"1]}", limit=64)
