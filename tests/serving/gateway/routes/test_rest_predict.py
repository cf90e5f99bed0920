"""TensorFlow Serving's REST API of the gateway answers as the REST port of the model server does."""

import gzip
import json
from base64 import b64encode
from typing import Any

import httpx
import pytest

from tests.pictures import png_bomb
from tests.serving.gateway.pictures import png

DEEP = b'{"instances": ' + b"[" * 50_000
WHITE = {"b64": b64encode(png(255)).decode()}


def body(**members: Any) -> bytes:
    return json.dumps(members).encode()


# By version or label, so that both are asked for the same: without either, the gateway asks for the label `stable`.
ANSWERED: dict[str, tuple[str, bytes]] = {
    "rows": ("times/versions/1", body(instances=[1.0, 2.5, -3e-5])),
    "named rows": ("times/versions/2", body(instances=[{"x": [1, 2]}, {"x": [3, 4]}])),
    "columns": ("times/labels/canary", body(inputs=[[0.1, 1e30], [3, 4]])),
    "named columns": ("times/labels/stable", body(inputs={"x": [[0.1, 2], [3, 4]]})),
    "not finite": ("times/versions/1", b'{"instances": [NaN, Infinity]}'),
    "a scalar": ("times/versions/1", body(inputs=1.5)),
    "another signature": (
        "times/versions/1",
        body(signature_name="sum", inputs={"a": [1, 2**62], "b": [3, 4]}),
    ),
    "a picture": ("digits/labels/stable", body(instances=[WHITE, {"image_bytes": WHITE}][:1])),
    "named pictures": ("digits/versions/1", body(instances=[{"image_bytes": WHITE}, {"image_bytes": WHITE}])),
    "what is behind the document": ("times/versions/1", body(instances=[1.0]) + b" {["),
    "large": ("times/versions/1", body(instances=[[0.1] * 50] * 2000)),
}
REFUSED: dict[str, tuple[str, bytes]] = {
    "empty": ("times/versions/1", b""),
    "not JSON": ("times/versions/1", b"{"),
    "nested deeply": ("times/versions/1", DEEP),
    "not an object": ("times/versions/1", b"[1]"),
    "no instances": ("times/versions/1", b"{}"),
    "both": ("times/versions/1", body(instances=[1], inputs=[1])),
    "of another type": ("times/versions/1", body(instances=["a"])),
    "ragged": ("times/versions/1", body(instances=[[1], [1, 2]])),
    "unknown input": ("times/versions/1", body(instances=[{"y": 1}])),
    "unknown signature": ("times/versions/1", body(signature_name="s", instances=[1])),
    "signature is no text": ("times/versions/1", body(signature_name=1, instances=[1])),
    "shapes that the model refuses": (
        "times/versions/1",
        body(signature_name="sum", inputs={"a": [1, 2], "b": [3]}),
    ),
    "more dimensions than NumPy has": ("times/versions/1", b'{"inputs": ' + b"[" * 100 + b"1" + b"]" * 100 + b"}"),
    "not a picture": ("digits/versions/1", body(instances=["text"])),
    "unknown version": ("times/versions/7", body(instances=[1.0])),
    "unknown version, and not JSON": ("times/versions/7", b"{"),
    "unknown label": ("times/labels/none", body(instances=[1.0])),
}


def both(gateway: httpx.Client, server: httpx.Client, method: str, path: str, **options: Any) -> list[Any]:
    """What each answers: status, type and body; the gateway first."""
    answers = [each.request(method, path, **options) for each in (gateway, server)]
    return [(each.status_code, each.headers["content-type"], each.content) for each in answers]


@pytest.mark.parametrize("case", ANSWERED)
def test_an_answer_is_that_of_the_server_byte_for_byte(case: str, client: httpx.Client, direct: httpx.Client) -> None:
    path, content = ANSWERED[case]
    of_gateway, of_server = both(client, direct, "POST", f"/v1/models/{path}:predict", content=content)

    assert 200 == of_server[0]
    assert of_server == of_gateway


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_server_refuses_has_its_status_and_its_words(
    case: str, client: httpx.Client, direct: httpx.Client
) -> None:
    path, content = REFUSED[case]
    of_gateway, of_server = both(client, direct, "POST", f"/v1/models/{path}:predict", content=content)

    assert of_server[0] in (400, 404)
    assert of_server == of_gateway


@pytest.mark.parametrize(
    "path",
    [
        "times",
        "times/versions/2",
        "times/versions/7",
        "times/labels/anything",
        "times/versions/1/metadata",
        "times/labels/canary/metadata",
        "times/labels/none/metadata",
        "times/versions/7/metadata",
        "digits/versions/2/metadata",
        "typed/versions/2/metadata",
    ],
)
def test_status_and_metadata_are_those_of_the_server_byte_for_byte(
    path: str, client: httpx.Client, direct: httpx.Client
) -> None:
    of_gateway, of_server = both(client, direct, "GET", f"/v1/models/{path}")

    assert of_server == of_gateway


def test_a_version_beyond_int64_has_the_status_of_the_server_and_unlike_there_the_reason(
    client: httpx.Client, direct: httpx.Client
) -> None:
    version = 2**63
    of_server = direct.get(f"/v1/models/times/versions/{version}")
    answer = client.get(f"/v1/models/times/versions/{version}")

    assert (400, b"") == (of_server.status_code, of_server.content)
    assert (400, {"error": f"Failed to convert version: {version} to numeric."}) == (answer.status_code, answer.json())
    assert 400 == client.post(f"/v1/models/times/versions/{version}:predict", content=b"{}").status_code


def test_a_body_may_be_gzip(client: httpx.Client, direct: httpx.Client) -> None:
    for content in (gzip.compress(body(instances=[1.0])), b"not gzip"):
        of_gateway, of_server = both(
            client,
            direct,
            "POST",
            "/v1/models/times/versions/2:predict",
            content=content,
            headers={"Content-Encoding": "gzip"},
        )

        assert of_server == of_gateway


def test_without_a_version_or_a_label_the_label_of_the_model_is_asked(client: httpx.Client) -> None:
    answer = client.post("/v1/models/times:predict", json={"instances": [2.0]})
    metadata = client.get("/v1/models/times/metadata").json()

    assert {"predictions": [{"y": 2.0, "z": -2.0}]} == answer.json()
    assert "1" == answer.headers["x-model-version"] == metadata["model_spec"]["version"]
    assert answer.headers["x-replica"].startswith("127.0.0.1:")


@pytest.mark.parametrize("path", ["none", "none/versions/1", "..%2Ftimes", "%00", "times%2F"])
def test_an_unknown_model_is_404_and_those_that_are_known_are_named(path: str, client: httpx.Client) -> None:
    """Fault F62."""
    for answer in (client.get(f"/v1/models/{path}"), client.post(f"/v1/models/{path}:predict", content=b"{}")):
        assert 404 == answer.status_code
        assert isinstance(answer.json()["error"], str)


def test_a_bomb_does_not_reach_the_server(client: httpx.Client) -> None:
    """Fault F56: the limit on pixels holds, from the header alone."""
    bomb = {"b64": b64encode(png_bomb()).decode()}
    answer = client.post("/v1/models/digits:predict", json={"instances": [bomb]})

    assert 413 == answer.status_code
    assert "pixels" in answer.json()["error"]


def test_the_number_of_images_is_limited_before_they_are_looked_at(client: httpx.Client) -> None:
    """A body of 450 bytes, compressed, held the event loop for 2 seconds: 100,000 strings, each asked for its size."""
    content = gzip.compress(b'{"instances": [' + b'"x",' * 100_000 + b'"x"]}')
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = client.post("/v1/models/digits:predict", content=content, headers=headers)

    assert (413, "the request has more than 64 images; send fewer at once") == (
        answer.status_code,
        answer.json()["error"],
    )


@pytest.mark.parametrize("path", ["/v1/models/times:predict", "/v2/models/times/infer"])
def test_a_body_of_a_million_values_is_refused_before_it_is_parsed(client: httpx.Client, path: str) -> None:
    content = b'{"inputs": [' + b"[]," * 500_001 + b"1]}"
    answer = client.post(path, content=content, headers={"Content-Type": "application/json"})

    assert (413, "the JSON has more than 1,000,000 values; send fewer at once") == (
        answer.status_code,
        answer.json()["error"],
    )
