"""Asking a gateway over HTTP."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.asking.answers import Answer, BusyError, NoAnswerError, RefusedImageError
from pipeline.asking.gateway_asker import GatewayAsker, gateway_url
from pipeline.asking.gateway_key import key_of
from pipeline.errors import BadInputError, FailedError
from tests.pictures import encoded, noise
from tests.pipeline.asking.classifiers import Gateway, Reply, gateway, labelled
from tests.ports import free_port

KEY = "not-a-real-key-0123456789"
PNG, JPEG = encoded(noise(), "PNG"), encoded(noise(), "JPEG")


def ask(
    url: str, image: bytes = PNG, *, key: str | None = KEY, version: int | None = None, model: str = "pets"
) -> Answer:
    async def one() -> Answer:
        async with GatewayAsker(url, key=key, model=model, version=version, top=2, concurrency=1) as asker:
            return await asker.ask(image)

    return asyncio.run(one())


@pytest.fixture
def running() -> Iterator[Gateway]:
    with gateway() as found:
        yield found


def test_an_image_is_the_body_and_the_answer_has_labels_version_and_replica(running: Gateway) -> None:
    answer = ask(running.url)

    assert Answer([("cat", 0.75), ("dog", 0.25)], 3, "10.0.0.1:8500") == answer
    assert ["/v1/classify/pets?top=2"] == running.paths
    assert [PNG] == running.bodies


def test_a_version_is_named_and_the_kind_of_image_is_reply_of(running: Gateway) -> None:
    ask(running.url, JPEG, version=7)

    assert ["/v1/classify/pets?top=2&version=7"] == running.paths
    assert "image/jpeg" == running.headers[0]["Content-Type"]


def test_the_key_is_in_the_header_and_only_there(running: Gateway) -> None:
    ask(running.url)
    ask(running.url, key=None)

    assert [f"Bearer {KEY}", None] == [headers.get("Authorization") for headers in running.headers]
    assert KEY not in running.paths[0]


def test_the_name_of_a_model_is_one_part_of_the_path(running: Gateway) -> None:
    ask(running.url, model="../a b?c")

    assert "/v1/classify/..%2Fa%20b%3Fc?top=2" == running.paths[0]


def reply_of(status: int, **headers: str) -> Reply:
    return status, {"error": "the reason"}, {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.mark.parametrize(
    ("reply", "kind", "message"),
    [
        (reply_of(400), RefusedImageError, "was refused: .* answered 400: the reason"),
        (reply_of(422), RefusedImageError, "answered 422: the reason"),
        (reply_of(500), RefusedImageError, "was not classified: .* answered 500: the reason"),
        (reply_of(502), RefusedImageError, "was not classified: .* answered 502: the reason"),
        # Of a proxy in front of the gateway.
        ((502, "<html>", {}), NoAnswerError, "answered 502: Bad Gateway"),
        (reply_of(504), NoAnswerError, "answered 504: the reason"),
        (reply_of(401), FailedError, r"answered 401: the reason\. Name a file with the key with --key-file"),
        (reply_of(404), FailedError, "answered 404: the reason"),
        (reply_of(307, Location="http://elsewhere/"), FailedError, "answered 307.*Redirects are not followed"),
        ((401, {"error": "the reason."}, {}), FailedError, r"answered 401: the reason\. Name a file"),
        ((200, "<html>", {}), FailedError, "something else than labels"),
        ((200, {"predictions": []}, {}), FailedError, "something else than labels"),
        ((500, "a\x1b[31m\nb", {}), NoAnswerError, "answered 500: Internal Server Error"),
        ((404, {"error": "a\x1b[31m\n" + "b" * 900}, {}), FailedError, r"answered 404: a \[31m b{200,300}\.\.\."),
    ],
)
def test_each_status_means_what_it_says_and_no_message_has_the_key(
    reply: Reply, kind: type[Exception], message: str
) -> None:
    with gateway(reply) as running, pytest.raises(kind, match=message) as raised:
        ask(running.url)

    assert KEY not in str(raised.value)


@pytest.mark.parametrize(
    ("headers", "seconds"), [({"Retry_After": "7"}, 7.0), ({}, 1.0), ({"Retry_After": "soon"}, 1.0)]
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_gateway_says_how_long_to_wait(status: int, headers: dict[str, str], seconds: float) -> None:
    with gateway(reply_of(status, **headers)) as running, pytest.raises(BusyError, match="the reason") as raised:
        ask(running.url)

    assert seconds == raised.value.seconds


def test_nothing_listens_there() -> None:
    with pytest.raises(NoAnswerError, match="gave no answer"):
        ask(f"http://127.0.0.1:{free_port()}")


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:8090", "ftp://a", "http://", "http://a?b=c", "http://a#b", "http://a:x", "http://[a", "http://a:0"],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(BadInputError, match="give one such as http://"):
        gateway_url(url)


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(BadInputError, match="--key-file") as raised:
        gateway_url(f"https://user:{KEY}@example.org")

    assert KEY not in str(raised.value)


def test_the_key_is_that_of_the_file_else_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    monkeypatch.delenv("UNDERSTUDY_GATEWAY_KEY", raising=False)

    assert key_of(None) is None
    monkeypatch.setenv("UNDERSTUDY_GATEWAY_KEY", "another")
    assert ("another", KEY) == (key_of(None), key_of(tmp_path / "key"))


@pytest.mark.parametrize("content", ["", f"{KEY} {KEY}", f"{KEY}\n{KEY}", "kéy", "k" * 5000])
def test_what_is_no_key_is_refused_and_not_repeated(tmp_path: Path, content: str) -> None:
    (tmp_path / "key").write_text(content)
    with pytest.raises(BadInputError, match="does not hold an API key") as raised:
        key_of(tmp_path / "key")

    assert KEY not in str(raised.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"--key-file .*/none cannot be read: No such file"):
        key_of(tmp_path / "none")


def test_the_replica_of_the_answer_is_the_one_that_the_gateway_names() -> None:
    with gateway(labelled("b:2")) as running:
        assert "b:2" == ask(running.url).replica
