"""`POST /v1/classify/{model}` against real model servers."""

import base64
import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import httpx
import pytest
from PIL import Image

from serving.gateway.models.admission import NEVER_REFUSED
from serving.gateway.settings import Limits
from tests.serving.client.servers import SmallServer, eventually
from tests.serving.gateway.pictures import picture_servers, png
from tests.serving.gateway.running import RunningGateway, gateway

PATH = "/v1/classify/digits"
PNG = {"Content-Type": "image/png"}
LIMITS = Limits(body_bytes=200_000, images=3, pixels=100_000)
BLACK, WHITE = "0", "3"


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Two model servers with the versions 1 and 2, of which 1 is stable."""
    with picture_servers(tmp_path_factory.mktemp("models"), count=2, versions=(1, 2), stable=1) as started:
        yield started


@pytest.fixture(scope="module")
def running(addresses: list[str]) -> Iterator[RunningGateway]:
    with gateway(f"digits={','.join(addresses)}", limits=LIMITS) as started:
        yield started


@pytest.fixture
def client(running: RunningGateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.url, timeout=30) as opened:
        yield opened


def best(answer: httpx.Response) -> list[str]:
    """The likeliest label of each image."""
    assert 200 == answer.status_code, answer.text
    return [each["labels"][0]["label"] for each in answer.json()["predictions"]]


def send_raw(client: httpx.Client, image: bytes) -> httpx.Response:
    return client.post(PATH, content=image, headers={"Content-Type": "application/octet-stream"})


def send_multipart(client: httpx.Client, image: bytes) -> httpx.Response:
    return client.post(PATH, files={"anything": ("a.png", image)})


def send_json(client: httpx.Client, image: bytes) -> httpx.Response:
    return client.post(PATH, json={"images": [base64.b64encode(image).decode()]})


WAYS = pytest.mark.parametrize("send", [send_raw, send_multipart, send_json])
Send = Callable[[httpx.Client, bytes], httpx.Response]


@WAYS
def test_each_way_to_send_an_image_gets_its_labels(client: httpx.Client, send: Send) -> None:
    assert [BLACK] == best(send(client, png(0)))
    assert [WHITE] == best(send(client, png(255)))


def test_the_answer_names_the_version_and_the_replica_and_replicas_take_turns(
    client: httpx.Client, addresses: list[str]
) -> None:
    answers = [send_raw(client, png()) for _ in range(4)]

    assert set(addresses) == {answer.json()["replica"] for answer in answers}
    for answer in answers:
        assert ("digits", 1) == (answer.json()["model"], answer.json()["version"])
        assert ("1", answer.json()["replica"]) == (answer.headers["X-Model-Version"], answer.headers["X-Replica"])


def test_many_images_keep_their_order_and_their_names(client: httpx.Client) -> None:
    files = [("images", ("white.png", png(255))), ("images", ("black.png", png(0)))]
    answer = client.post(PATH, files=files)

    assert [WHITE, BLACK] == best(answer)
    assert ["white.png", "black.png"] == [each["name"] for each in answer.json()["predictions"]]


def test_the_number_of_labels_is_that_of_the_address_then_of_the_json_then_five(client: httpx.Client) -> None:
    body = {"images": [base64.b64encode(png()).decode()], "top": 2}
    counts = [len(client.post(path, json=body).json()["predictions"][0]["labels"]) for path in (f"{PATH}?top=1", PATH)]

    assert [1, 2] == counts
    assert 4 == len(send_raw(client, png()).json()["predictions"][0]["labels"])


def test_probabilities_fall_from_label_to_label(client: httpx.Client) -> None:
    found = [each["probability"] for each in send_raw(client, png()).json()["predictions"][0]["labels"]]

    assert sorted(found, reverse=True) == found
    assert 1 == pytest.approx(sum(found))


def test_a_version_can_be_asked_for_by_its_number(client: httpx.Client) -> None:
    assert 2 == client.post(f"{PATH}?version=2", content=png(), headers=PNG).json()["version"]


def _photograph(**saved: Any) -> bytes:
    """Left half black, right half white, 40 x 20."""
    stream = io.BytesIO()
    picture = Image.new("RGB", (40, 20), "black")
    picture.paste("white", (20, 0, 40, 20))
    picture.save(stream, **saved)
    return stream.getvalue()


CONVERTED = {
    "webp": _photograph(format="WEBP", lossless=True),
    "bmp": _photograph(format="BMP"),
    "gif": _photograph(format="GIF"),
    "tiff": _photograph(format="TIFF"),
}


@pytest.mark.parametrize("kind", CONVERTED)
@WAYS
def test_what_the_model_does_not_decode_is_converted(client: httpx.Client, send: Send, kind: str) -> None:
    """The model servers of this test refuse everything but PNG and JPEG."""
    assert 200 == send(client, CONVERTED[kind]).status_code


BAD = {
    "empty": (b"", "is empty"),
    "garbage": (b"not an image", "is not a PNG, JPEG"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is not a PNG, JPEG"),
    "cut in its header": (png()[:20], "is cut off"),
    "cut behind its header": (png(size=(64, 64))[:-30], "is cut off"),
    "web page": (b"<!DOCTYPE html><html>", "is a web page"),
}


@pytest.mark.parametrize("kind", BAD)
@WAYS
def test_an_image_that_cannot_be_used_is_refused_with_its_reason(client: httpx.Client, send: Send, kind: str) -> None:
    content, reason = BAD[kind]
    answer = send(client, content)

    assert 422 == answer.status_code
    assert reason in answer.json()["error"]


def test_of_many_images_the_one_that_cannot_be_used_is_named(client: httpx.Client) -> None:
    """...also if only the model server finds it: its header is right."""
    cut = png(size=(64, 64))[:-30]
    answer = client.post(PATH, files=[("a", ("good.png", png())), ("a", ("cut.png", cut))])
    unnamed = client.post(PATH, json={"images": [base64.b64encode(each).decode() for each in (png(), cut)]})

    assert (422, True) == (answer.status_code, answer.json()["error"].startswith("'cut.png' is cut off"))
    assert (422, True) == (unnamed.status_code, unnamed.json()["error"].startswith("image 2 of 2 is cut off"))


@pytest.mark.parametrize(
    ("request_", "status", "reason"),
    [
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "not JSON"),
        ({"json": []}, 400, '{"images": ["<base64>", ...]}'),
        ({"json": {"images": "x"}}, 400, '{"images": ["<base64>", ...]}'),
        ({"json": {"images": ["!"]}}, 400, "images[0] must be base64 text"),
        ({"json": {"images": [{"name": 1, "content": ""}]}}, 400, "images[0] must be"),
        ({"json": {"images": []}}, 422, "has no image"),
        ({"json": {"images": ["", "", "", ""]}}, 413, "more than 3 images"),
        ({"files": [("a", ("a.png", b"x"))] * 4}, 413, "more than 3 images"),
        ({"data": {"a": "b"}, "files": {}}, 415, "send an image as the body"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "needs a boundary"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, 400, "multipart body"),
        ({"content": b"x" * 200_001, "headers": PNG}, 413, "larger than 200,000 bytes"),
        ({"content": png(size=(400, 400)), "headers": PNG}, 413, "more than 100,000 pixels"),
        ({"content": b"x", "headers": {"Content-Type": "text/plain"}}, 415, "send an image as the body"),
    ],
)
def test_a_malformed_request_is_refused_with_its_reason(
    client: httpx.Client, request_: dict[str, Any], status: int, reason: str
) -> None:
    answer = client.post(PATH, **request_)

    assert (status, True) == (answer.status_code, reason in answer.json()["error"]), answer.text


NUMBERS = ("top=0", "top=1001", "top=x", "top=-1", "version=0", "version=1.5", "top=" + "9" * 5000)


@pytest.mark.parametrize("query", NUMBERS, ids=lambda query: query[:12])
def test_a_number_in_the_address_that_cannot_be_used_is_named(client: httpx.Client, query: str) -> None:
    answer = client.post(f"{PATH}?{query}", content=png(), headers=PNG)

    name = query.partition("=")[0]
    assert (400, True) == (answer.status_code, answer.json()["error"].startswith(f"{name} must be a whole number"))


@pytest.mark.parametrize("model", ["nosuch", "..", "%2e%2e%2f", "digits%00", "DIGITS", "a" * 5000])
def test_an_unknown_model_is_not_found_and_the_known_ones_are_named(client: httpx.Client, model: str) -> None:
    """F62: a name is looked up and never becomes a path."""
    answer = client.post(f"/v1/classify/{model}", content=png(), headers=PNG)

    assert 404 == answer.status_code
    assert "there is" in answer.json()["error"]


def test_a_version_that_is_not_loaded_is_not_found(client: httpx.Client) -> None:
    answer = client.post(f"{PATH}?version=7", content=png(), headers=PNG)

    assert (404, "version 7 of digits is not loaded") == (answer.status_code, answer.json()["error"])


@pytest.mark.parametrize("seconds", ["0", "-1", "x", "nan", "inf"])
def test_a_time_that_nobody_can_wait_is_refused(client: httpx.Client, seconds: str) -> None:
    answer = client.post(PATH, content=png(), headers={**PNG, "X-Timeout-Seconds": seconds})

    assert (400, "X-Timeout-Seconds must be a number of seconds above 0") == (
        answer.status_code,
        answer.json()["error"],
    )


def test_the_time_that_a_client_can_wait_ends_a_conversion(addresses: list[str]) -> None:
    """A millisecond, and a picture of 16 million pixels."""
    stream = io.BytesIO()
    Image.effect_noise((4000, 4000), 90).save(stream, format="BMP")
    with (
        gateway(f"digits={addresses[0]}") as running,
        httpx.Client(base_url=running.url, timeout=30) as opened,
    ):
        answer = opened.post(PATH, content=stream.getvalue(), headers={**PNG, "X-Timeout-Seconds": "0.001"})

    assert 504 == answer.status_code
    assert "images that had to be converted included" in answer.json()["error"]


def test_the_model_server_learns_how_long_the_client_can_wait() -> None:
    """...and the request to it ends with the client's connection."""
    left: list[float] = []
    ended = threading.Event()

    def handle(_: Any, context: Any) -> Any:
        left.append(context.time_remaining())
        context.add_callback(ended.set)
        ended.wait(30)
        raise RuntimeError("nobody waits any more")

    with ExitStack() as stack:
        server = stack.enter_context(SmallServer(handle))
        running = stack.enter_context(gateway(f"digits={server.address}"))
        with pytest.raises(httpx.ReadTimeout), httpx.Client(base_url=running.url, timeout=0.5) as client:
            client.post(PATH, content=png(), headers={**PNG, "X-Timeout-Seconds": "8"})
        eventually(ended.is_set)

    # The server adds some milliseconds for its own clock; without the header it would be 10 s.
    assert 0 < left[0] < 9


def test_without_a_replica_the_answer_says_when_to_ask_again() -> None:
    """F60."""
    with gateway("digits=127.0.0.1:9") as running, httpx.Client(base_url=running.url, timeout=30) as client:
        answer = client.post(PATH, content=png(), headers=PNG)

    assert 503 == answer.status_code
    assert 1 <= int(answer.headers["Retry-After"])
    assert "127.0.0.1:9" not in answer.text


def test_one_bad_replica_costs_no_request(addresses: list[str]) -> None:
    """F61."""
    with (
        gateway(f"digits=127.0.0.1:9,{addresses[0]}") as running,
        httpx.Client(base_url=running.url, timeout=30) as client,
    ):
        statuses = {client.post(PATH, content=png(), headers=PNG).status_code for _ in range(20)}

    assert {200} == statuses


def test_too_many_at_once_are_refused_while_the_others_are_answered() -> None:
    """...before they wait: the model server hangs until all others have been refused."""
    go_on = threading.Event()

    def handle(_: Any, context: Any) -> Any:
        go_on.wait(30)
        context.abort(3, "no image")

    with ExitStack() as stack:
        server = stack.enter_context(SmallServer(handle))
        running = stack.enter_context(gateway(f"digits={server.address}"))
        admission = running.app.state.models["digits"].admission
        url = f"{running.url}{PATH}"
        send = partial(httpx.post, url, content=png(), headers=PNG, timeout=30)
        threads = [threading.Thread(target=send) for _ in range(int(NEVER_REFUSED))]
        for thread in threads:
            thread.start()
        eventually(lambda: admission.in_flight + admission.waiting >= NEVER_REFUSED)
        answer = send()
        go_on.set()
        for thread in threads:
            thread.join()

    assert 503 == answer.status_code
    assert "as many requests as it can answer in time" in answer.json()["error"]
    assert 1 <= int(answer.headers["Retry-After"])
    assert (0, 0) == (admission.in_flight, admission.waiting)


def test_a_name_with_half_a_surrogate_pair_does_not_break_the_answer(client: httpx.Client) -> None:
    body = json.dumps({"images": [{"name": "\ud800", "content": base64.b64encode(png()).decode()}]})
    answer = client.post(PATH, content=body, headers={"Content-Type": "application/json"})

    assert "\ud800" == json.loads(answer.text)["predictions"][0]["name"]
