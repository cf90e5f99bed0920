"""`POST /model/predict/`, as clients of the older API use it."""

from typing import Any

import httpx
import pytest

from tests.pictures import png_bomb
from tests.serving.gateway.pictures import png

BOUNDARY = {"Content-Type": "multipart/form-data; boundary=b"}


def part(content: bytes, *, field: str = "file", name: str = "a.png") -> bytes:
    head = f'--b\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n"


@pytest.mark.parametrize("path", ["/model/predict/", "/model/predict"])
def test_the_first_model_answers_with_its_labels_the_most_probable_first(path: str, client: httpx.Client) -> None:
    answer = client.post(path, files={"file": ("a.png", png(255), "image/png")})
    document = answer.json()

    assert (200, "digits") == (answer.status_code, answer.headers["x-model"])
    assert {"success", "predictions"} == set(document)
    assert document["success"] is True
    assert 4 == len(document["predictions"])
    assert "3" == document["predictions"][0]["label"]
    assert pytest.approx(0.7) == document["predictions"][0]["probability"]


REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "no body": ({}, 415, "multipart/form-data"),
    "raw": ({"content": png(), "headers": {"Content-Type": "image/png"}}, 415, "multipart/form-data"),
    "no boundary": ({"content": b"", "headers": {"Content-Type": "multipart/form-data"}}, 400, "boundary"),
    "nothing": ({"content": b"", "headers": BOUNDARY}, 400, "does not have the boundary"),
    "cut off": ({"content": part(png()), "headers": BOUNDARY}, 400, "cut off"),
    "another field": ({"files": {"image": png()}}, 400, "in the field 'file'; it came in 'image'"),
    "two files": ({"files": [("file", png()), ("file", png())]}, 400, "exactly one file"),
    "no file": ({"content": b"--b--\r\n", "headers": BOUNDARY}, 400, "there are 0 files"),
    "empty": ({"files": {"file": ("a.png", b"")}}, 422, "is empty"),
    "text": ({"files": {"file": ("a.png", b"text")}}, 422, "is not a PNG"),
    "bomb": ({"files": {"file": ("a.png", png_bomb())}}, 422, "too large"),
    "cut off image": ({"files": {"file": ("a.png", png(size=(50, 50))[:-30])}}, 422, "cut off"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_error_has_its_status_and_success_false(case: str, client: httpx.Client) -> None:
    """Faults F56, F57 and F58."""
    request, status, expected = REFUSED[case]
    answer = client.post("/model/predict/", **request)
    document = answer.json()

    assert status == answer.status_code, document
    assert {"success", "error"} == set(document)
    assert document["success"] is False
    assert expected in document["error"]
