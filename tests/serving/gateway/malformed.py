"""Uploads that are wrong in every way that a client, a proxy or an attacker gets them wrong. The same for each seed."""

import base64
import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.pictures import (
    bmp_bomb,
    chunk,
    encoded,
    gif_bomb,
    jpeg_bomb,
    noise,
    png,
    png_bomb,
    tiff_bomb,
    webp_bomb,
)

CLASSIFY = "/v1/classify/digits"
OLDER = "/model/predict/"
INFER = "/v2/models/digits/infer"
PREDICT = "/v1/models/digits:predict"

_SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
_PAGE = b"<!doctype html><title>404</title>"


@dataclass(frozen=True)
class Upload:
    """A request that is a POST; `what` is in the message of a test that fails."""

    what: str
    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class Uploads:
    """Makes one after the other.

    Args:
        seed: of the choices.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - no secret
        pictures = [noise(mode) for mode in ("L", "RGB", "CMYK")]
        kinds = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")
        self._images = [
            encoded(picture, kind)
            for picture in pictures
            for kind in kinds
            if picture.mode != "CMYK" or kind in ("JPEG", "TIFF")
        ]
        makers = (png_bomb, jpeg_bomb, gif_bomb, bmp_bomb, webp_bomb, tiff_bomb, _text_bomb)
        self._bombs = [*(make() for make in makers), _header(2**31 - 1, 2**31 - 1), _header(60_000, 60_000)]

    def next(self) -> Upload:
        makers: list[Callable[[], Upload]] = [
            self._raw,
            self._raw,
            self._multipart,
            self._torn_multipart,
            self._json,
            self._garbage_json,
            self._infer,
            self._torn_infer,
            self._predict,
            self._wrong_type,
        ]
        return self._random.choice(makers)()

    def _content(self) -> tuple[str, bytes]:
        """Something that should be an image, and what it is."""
        picture = self._random.choice(self._images)
        cut = self._random.randrange(len(picture))
        makers: list[Callable[[], tuple[str, bytes]]] = [
            lambda: ("cut", picture[:cut]),
            lambda: ("cut", picture[:-1]),
            lambda: ("flipped", self._flipped(picture)),
            lambda: ("flipped", self._flipped(picture)),
            lambda: ("doubled", picture[:cut] + picture),
            lambda: ("zeros behind a header", picture[:24] + bytes(200)),
            lambda: ("bomb", self._random.choice(self._bombs)),
            lambda: ("zip", _zip(picture)),
            lambda: ("SVG", _SVG),
            lambda: ("page", _PAGE),
            lambda: ("nothing", b""),
            lambda: ("noise", self._random.randbytes(self._random.randrange(1, 300))),
            lambda: ("size of zero", _header(0, self._random.randrange(2))),
            lambda: ("lying chunk", _lying_chunk(self._random.randrange(2**32))),
        ]
        return self._random.choice(makers)()

    def _flipped(self, content: bytes) -> bytes:
        flipped = bytearray(content)
        for _ in range(self._random.randrange(1, 6)):
            flipped[self._random.randrange(len(flipped))] ^= 1 << self._random.randrange(8)
        return bytes(flipped)

    def _raw(self) -> Upload:
        what, content = self._content()
        kind = self._random.choice(("image/png", "image/jpeg", "application/octet-stream", "image/svg+xml", "IMAGE/*"))
        return Upload(f"{what} as {kind}", CLASSIFY, content, {"Content-Type": kind})

    def _wrong_type(self) -> Upload:
        kinds = ("", "text/plain", "application/x-www-form-urlencoded", ";", "multipart/form-data", "a" * 3000)
        kind = self._random.choice(kinds)
        path = self._random.choice((CLASSIFY, OLDER, INFER, PREDICT))
        return Upload(f"type {kind[:40]!r}", path, self._content()[1], {"Content-Type": kind})

    def _multipart(self) -> Upload:
        parts = [self._part() for _ in range(self._random.randrange(4))]
        what = " and ".join(what for what, _ in parts) or "no part"
        body = b"".join(content for _, content in parts) + b"--b--\r\n"
        return Upload(f"multipart: {what}", self._random.choice((CLASSIFY, OLDER)), body, _MULTIPART)

    def _part(self) -> tuple[str, bytes]:
        what, content = self._content()
        names = ("a.png", "../../etc/passwd", "a\0.png", "", "é" * 200, 'a"b')
        name = self._random.choice(names)
        field_name = self._random.choice(("file", "image", "", "x" * 500))
        dispositions = (
            f'form-data; name="{field_name}"; filename="{name}"',
            f'form-data; name="{field_name}"',
            f'attachment; filename="{name}"',
            "",
        )
        head = f"--b\r\nContent-Disposition: {self._random.choice(dispositions)}\r\n"
        head += self._random.choice(("", "Content-Type: image/png\r\n", "Content-Length: 99999999999\r\n"))
        if self._random.randrange(5) == 0:
            head += "Content-Type: multipart/mixed; boundary=c\r\n"
            content = b"--c\r\n\r\n" + content + b"\r\n--c--"
        return what, head.encode() + b"\r\n" + content + b"\r\n"

    def _torn_multipart(self) -> Upload:
        whole = self._multipart()
        cut = self._random.randrange(len(whole.body) + 1)
        bodies = (whole.body[:cut], self._flipped(whole.body), whole.body[cut:], whole.body.replace(b"\r\n", b"\n"))
        return Upload(f"torn {whole.what}", whole.path, self._random.choice(bodies), whole.headers)

    def _text(self) -> tuple[str, str]:
        """Something that should be an image in base64."""
        what, content = self._content()
        text = base64.b64encode(content).decode()
        cut = self._random.randrange(len(text) + 1)
        texts = (text, text[:cut], text + "=", text + "é", "=" * 9, "data:image/png;base64," + text, "\ud800", "\0")
        return what, self._random.choice(texts)

    def _json(self) -> Upload:
        pairs = [self._text() for _ in range(self._random.randrange(3))]
        images = [
            self._random.choice((text, {"name": "a\n\ud800", "content": text}, {"content": 1}, [text], None, 7))
            for _, text in pairs
        ]
        tops: tuple[object, ...] = (1, 0, -1, 10**30, "5", None, 1.5, True, [], {})
        top = self._random.choice(tops)
        body = json.dumps({"images": images, "top": top}).encode()
        return Upload(f"JSON: {[what for what, _ in pairs]}, top {top!r}", CLASSIFY, body, _JSON)

    def _garbage_json(self) -> Upload:
        depth = self._random.randrange(1, 5000)
        bodies = (
            b"",
            b"null",
            b"[]",
            b'{"images": {}}',
            b'{"images": ' + b"[" * depth + b"]" * depth + b"}",
            b"[" * depth,
            b'{"a":' * depth,
            b'{"inputs": ' + b"9" * depth + b"}",
            b'{"instances": [1e999, NaN, -Infinity]}',
            b'\xef\xbb\xbf{"images": []}',
            b'{"images": ["\xff"]}',
            self._random.randbytes(50),
            self._flipped(b'{"images": ["aGk="], "instances": [1], "inputs": [{"name": "image_bytes"}]}'),
        )
        path = self._random.choice((CLASSIFY, INFER, PREDICT))
        return Upload("garbage as JSON", path, self._random.choice(bodies), _JSON)

    def _infer(self) -> Upload:
        what, text = self._text()
        odd: tuple[object, ...] = (None, [], {}, "a", -1, 2**63, 10**40, [1, -1], [2**31], True, 1.5, "\ud800")
        tensor: dict[str, object] = {
            "name": "image_bytes",
            "shape": [1],
            "datatype": "BYTES",
            "data": [text],
            "parameters": {"content_type": "base64"},
        }
        for _ in range(self._random.randrange(3)):
            tensor[self._random.choice(list(tensor))] = self._random.choice(odd)
        document: dict[str, object] = {"inputs": [tensor] * self._random.choice((1, 1, 1, 2, 0))}
        if self._random.randrange(3) == 0:
            document[self._random.choice(("id", "outputs", "parameters", "inputs"))] = self._random.choice(odd)
        return Upload(f"infer: {what}", INFER, json.dumps(document).encode(), _JSON)

    def _torn_infer(self) -> Upload:
        """Raw tensors behind the JSON, with lengths that lie."""
        what, content = self._content()
        length = self._random.choice((len(content), 0, 2**32 - 1, len(content) + 1))
        raw = struct.pack("<I", length) + content
        size = self._random.choice((len(raw), len(raw) - 1, -1, 2**70, "4", None, True))
        tensor = {"name": "image_bytes", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": size}}
        head = json.dumps({"inputs": [tensor]}).encode()
        announced = self._random.choice((len(head), len(head) + 1, 0, -1, 10**20, "a"))
        headers = {"Inference-Header-Content-Length": str(announced), "Content-Type": "application/octet-stream"}
        return Upload(f"raw tensor: {what}", INFER, head + raw, headers)

    def _predict(self) -> Upload:
        what, text = self._text()
        shapes = (
            {"instances": [{"b64": text}]},
            {"instances": [{"image_bytes": {"b64": text}}]},
            {"inputs": {"image_bytes": [[{"b64": text}]]}},
            {"instances": [text, [text]]},
            {"inputs": text},
        )
        return Upload(f"predict: {what}", PREDICT, json.dumps(self._random.choice(shapes)).encode(), _JSON)


_MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}
_JSON = {"Content-Type": "application/json"}


def _header(width: int, height: int) -> bytes:
    """A PNG that claims this size, and has no pixels."""
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return start + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def _lying_chunk(length: int) -> bytes:
    """A PNG with a chunk that claims this length."""
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    return start + struct.pack(">I", length) + b"tEXt" + bytes(20)


def _text_bomb() -> bytes:
    """A PNG with a text of many megabytes in a few kilobytes."""
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(20_000_000), 9))
    return png((8, 8), bytes(9 * 8), bits=8, colours=0, before=text)


def _zip(content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("../a.png", content)
    return stream.getvalue()
