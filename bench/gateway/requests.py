"""Whole HTTP requests by number, no two alike: good ones, and those that a gateway must refuse with a 4xx.

What differs is what a gateway might keep of a request: its id, the name of a model, the path, the image.
"""

import base64
import functools
import json
import struct
import zlib

from bench.gateway.pets import SIZES, photograph
from bench.gateway.servers import CLASSIFY

_BOUNDARY = "part"
_MULTIPART = f"multipart/form-data; boundary={_BOUNDARY}"


@functools.cache
def _image(number: int) -> bytes:
    return photograph(number)


def good(number: int) -> bytes:
    image = _image(number % len(SIZES)) + b"%d" % number
    return _request(number, content_type="image/jpeg", body=image)


def malformed(number: int) -> bytes:
    """Each of the malformed requests below in turn."""
    image = _image(number % len(SIZES))
    mark = str(number)
    builders = (
        lambda: _request(number, content_type="image/jpeg", body=f"not an image {mark}".encode()),
        lambda: _request(number, content_type="image/jpeg", body=b""),
        lambda: _request(number, content_type="image/jpeg", body=image[: 4 + number % 16]),
        lambda: _request(number, content_type="image/png", body=_huge_png(number)),
        lambda: _request(number, content_type=f"text/x-{mark}", body=image),
        lambda: _request(number, content_type="image/jpeg", body=image, path=f"/v1/classify/model-{mark}"),
        lambda: _request(number, content_type="image/jpeg", body=image, path=f"/nothing/here/{mark}"),
        lambda: _request(number, content_type="image/jpeg", body=image, path=f"{CLASSIFY}?top=many-{mark}"),
        lambda: _request(number, content_type="application/json", body=b'{"images": [' + mark.encode()),
        lambda: _request(number, content_type="application/json", body=_json(f"*{mark}*")),
        lambda: _request(number, content_type="application/json", body=_json(base64.b64encode(mark.encode()).decode())),
        lambda: _request(number, content_type=_MULTIPART, body=_form(image)[: -30 - number % 1000]),
        lambda: _request(number, content_type="multipart/form-data", body=_form(image)),
        lambda: _request(number, content_type="image/jpeg", body=image, method="PUT"),
    )
    return builders[number % len(builders)]()


def _request(number: int, *, content_type: str, body: bytes, path: str = CLASSIFY, method: str = "POST") -> bytes:
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Request-Id: bench-{number}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _huge_png(number: int) -> bytes:
    header = struct.pack("!IIBBBBB", 2**30 + number, 2**30, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return b"\x89PNG\r\n\x1a\n" + struct.pack("!I", len(header)) + chunk + struct.pack("!I", zlib.crc32(chunk))


def _json(content: str) -> bytes:
    return json.dumps({"images": [content]}).encode()


def _form(image: bytes) -> bytes:
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    return head.encode() + image + f"\r\n--{_BOUNDARY}--\r\n".encode()
