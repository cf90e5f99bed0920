"""The images of a JSON body, in base64: `{"images": ["...", {"name": "a.png", "content": "..."}], "top": 5}`."""

import base64
import binascii
import json
from typing import Any

from serving.gateway.errors import GatewayError
from serving.gateway.uploads.json_values import LARGEST_OF_IMAGES, check_values
from serving.gateway.uploads.named_image import NamedImage


def images_of(body: bytes, *, limit: int) -> tuple[list[NamedImage], Any]:
    """The images of a JSON body, and its `top`, which is not checked here; None if it has none.

    Raises:
        GatewayError: 400, it is not such a JSON; says where. 413, it has more than `limit` images, or
            very many values.
    """
    document = parse_json(body)
    images = document.get("images") if isinstance(document, dict) else None
    if not isinstance(images, list):
        raise GatewayError(400, 'the JSON must be {"images": ["<base64>", ...]}')
    if len(images) > limit:
        raise GatewayError(413, f"the request has more than {limit} images; send fewer at once")
    return [_image(number, each) for number, each in enumerate(images)], document.get("top")


def parse_json(body: bytes) -> Any:
    """A JSON document.

    Raises:
        GatewayError: 400, it is none; 413, it has very many values.
    """
    check_values(body, limit=LARGEST_OF_IMAGES)
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise GatewayError(400, "the body is not JSON in UTF-8") from error


def from_base64(text: str) -> bytes | None:
    """The bytes; None if the text is no base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _image(number: int, given: Any) -> NamedImage:
    name, text = (given.get("name"), given.get("content")) if isinstance(given, dict) else (None, given)
    content = from_base64(text) if isinstance(text, str) else None
    if content is None or not isinstance(name, str | None):
        expected = 'base64 text, or {"name": "a.png", "content": "<base64>"}'
        raise GatewayError(400, f"images[{number}] must be {expected}")
    return NamedImage(name, content)
