"""Multipart bodies, well formed and not."""

import random

import pytest

from serving.gateway.errors import GatewayError
from serving.gateway.uploads.multipart import Part, files_of

TYPE = 'multipart/form-data; boundary="b"'
HEAD = b'Content-Disposition: form-data; name="image"; filename="a.png"\r\n'


def part(content: bytes, head: bytes = HEAD) -> bytes:
    return b"--b\r\n" + head + b"\r\n" + content + b"\r\n"


@pytest.mark.parametrize("content", [b"", b"x", b"\r\n", b"\r\n\r\n", b"\r\n--", b"\r\n--a\r\n", b"\r\n--B--\r\n"])
def test_a_file_is_what_is_between_the_boundaries(content: bytes) -> None:
    assert [Part("image", "a.png", content)] == files_of(part(content) + b"--b--\r\n", TYPE, limit=1)


def test_bytes_of_any_kind_come_through() -> None:
    chosen = random.Random(1)  # noqa: S311 - no secret
    contents = [bytes(chosen.choices(b"\r\n-bx", k=200)).replace(b"\r\n--b", b"") for _ in range(50)]
    body = b"".join(map(part, contents)) + b"--b--"

    assert contents == [file.content for file in files_of(body, TYPE, limit=50)]


def test_what_surrounds_the_parts_and_fields_that_are_not_files_are_left_out() -> None:
    field = part(b"5", b'content-disposition: form-data; name="top"\r\n')
    body = b"before\r\n" + field + part(b"x").replace(b"--b\r\n", b"--b \t\r\n") + b"--b--after"

    assert [b"x"] == [file.content for file in files_of(body, TYPE, limit=1)]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "cut off"),
        (b"--c--", "does not have the boundary"),
        (b"--b", "malformed"),
        (part(b"x"), "cut off"),
        (b"--bx\r\n\r\n\r\n--b--", "malformed"),
        (b"--b\r\nno end of the head\r\n--b--", "malformed"),
        (part(b"x", b"no colon\r\n") + b"--b--", "malformed"),
        (part(b"x", b" folded: a\r\n") + b"--b--", "malformed"),
        (part(b"x", HEAD + b"a:" + b"b" * 9000 + b"\r\n") + b"--b--", "malformed"),
    ],
)
def test_what_is_not_multipart_is_400(body: bytes, reason: str) -> None:
    with pytest.raises(GatewayError, match=reason) as refused:
        files_of(body, TYPE, limit=1)

    assert 400 == refused.value.status


def test_the_number_of_files_is_limited() -> None:
    with pytest.raises(GatewayError, match="more than 2 images") as refused:
        files_of(part(b"x") * 3 + b"--b--", TYPE, limit=2)

    assert 413 == refused.value.status


def test_the_number_of_other_fields_is_limited() -> None:
    """12 MB of empty fields held the event loop for 6 seconds."""
    with pytest.raises(GatewayError, match="more than 102 fields") as refused:
        files_of(part(b"", b"a:b\r\n") * 103 + b"--b--", TYPE, limit=2)

    assert 413 == refused.value.status
