"""Ask a gateway, over HTTP: `POST /v1/classify/{model}` with one image as the body."""

from types import TracebackType
from typing import Self
from urllib.parse import quote, urlsplit

import httpx

from pipeline.asking.answers import Answer, BusyError, NoAnswerError, RefusedImageError
from pipeline.errors import BadInputError, FailedError

_TIMEOUT_SECONDS = 30.0
_BUSY_STATUSES = (429, 503)
# About the image alone: malformed, too large, not an image, one that cannot be used.
_IMAGE_STATUSES = (400, 413, 415, 422)
# The gateway, or a replica, failed on this image.
_FAULT_STATUSES = (500, 502)
_RETRY_SECONDS = 1.0
_MOST_SHOWN = 300
_PNG = b"\x89PNG"


class GatewayAsker:
    """See `Asker`. Use it as an asynchronous context manager.

    Args:
        url: of the gateway.
        key: the API key; None if the gateway asks for none. It is in no message.
        model: the name of the model.
        version: ask exactly this version; None for the one that serves.
        top: how many labels of each image.
        concurrency: how many calls are under way at most.

    Raises:
        BadInputError: the URL cannot be used.
    """

    def __init__(
        self, url: str, *, key: str | None, model: str, version: int | None, top: int, concurrency: int
    ) -> None:
        self._url = gateway_url(url)
        self._path = f"{self._url}/v1/classify/{quote(model, safe='')}"
        self._query = {"top": top} | ({} if version is None else {"version": version})
        # Redirects are not followed: the key is for this gateway.
        self._client = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=_TIMEOUT_SECONDS,
            limits=httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def ask(self, content: bytes) -> Answer:
        kind = "image/png" if content.startswith(_PNG) else "image/jpeg"
        try:
            reply = await self._client.post(
                self._path, params=self._query, content=content, headers={"Content-Type": kind}
            )
        except httpx.HTTPError as error:
            raise NoAnswerError(f"{self._url} gave no answer: {str(error) or type(error).__name__}") from error
        if reply.status_code != 200:
            raise self._error(reply)
        return self._answer(reply)

    def _answer(self, reply: httpx.Response) -> Answer:
        try:
            document = reply.json()
            (prediction,) = document["predictions"]
            labels = [(str(each["label"]), float(each["probability"])) for each in prediction["labels"]]
            version, replica = int(document["version"]), str(document["replica"])
        except (ValueError, KeyError, TypeError) as error:
            raise FailedError(
                f"{self._path} answered with something else than labels; check that it is a gateway of Understudy"
            ) from error
        return Answer(labels, version, replica)

    def _error(self, reply: httpx.Response) -> Exception:
        status = reply.status_code
        message = f"{self._url} answered {status}: {_reason(reply)}"
        if status in _BUSY_STATUSES:
            return BusyError(message, seconds=_retry_after(reply))
        if status in _IMAGE_STATUSES:
            return RefusedImageError(f"was refused: {message}")
        if status in _FAULT_STATUSES and _message(reply) is not None:
            return RefusedImageError(f"was not classified: {message}")
        if status >= 500:
            return NoAnswerError(message)
        if status == 401:
            message += ". Name a file with the key with --key-file, or set UNDERSTUDY_GATEWAY_KEY"
        if reply.is_redirect:
            message += ". Redirects are not followed; name the address that they lead to"
        return FailedError(message)


def gateway_url(url: str) -> str:
    """The URL without a slash at its end.

    Raises:
        BadInputError: it is not http:// or https:// with a host, or has more than a path. A password is not repeated.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadInputError("--gateway is not a URL; give one such as http://127.0.0.1:8090") from error
    if parts.username is not None or parts.password is not None:
        raise BadInputError(
            "--gateway has a user name or password; name a file with an API key with --key-file instead"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or port == 0:
        raise BadInputError(f"--gateway {url!r} is not the URL of a gateway; give one such as http://127.0.0.1:8090")
    return url.rstrip("/")


def _reason(reply: httpx.Response) -> str:
    """The message of the gateway, as one line of printable characters without a full stop."""
    message = _message(reply)
    if message is None:
        message = reply.reason_phrase
    shown = "".join(each if each.isprintable() else " " for each in message).rstrip(". ")
    return shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]}..."


def _message(reply: httpx.Response) -> str | None:
    """The message of a gateway; None if something in front of it has answered."""
    try:
        return str(reply.json()["error"])
    except (ValueError, KeyError, TypeError):
        return None


def _retry_after(reply: httpx.Response) -> float:
    text = reply.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else _RETRY_SECONDS
