"""The files of the pages: read once, sent with an ETag, so that a browser asks each time and mostly gets 304."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request
from fastapi.responses import Response

# Of their addresses.
PREFIX = "/page/"
FOLDER = Path(__file__).with_name("files")
# Only these are sent: whatever else is in the folder stays there.
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class StaticFile:
    """A file, and what a browser must know of it."""

    content: bytes
    media_type: str
    etag: str

    def response(self, request: Request) -> Response:
        """The file, or 304 without a body if the browser has it already."""
        # The pages change with the gateway, whose address stays: so a browser must ask each time.
        headers = {"ETag": self.etag, "Cache-Control": "no-cache"}
        if _has(request.headers.get("if-none-match", ""), self.etag):
            return Response(status_code=304, headers=headers)
        return Response(self.content, media_type=self.media_type, headers=headers)


def read_files(folder: Path = FOLDER) -> Mapping[str, StaticFile]:
    """The files of a folder by name."""
    return {
        path.name: _read(path, MEDIA_TYPES[path.suffix])
        for path in sorted(folder.iterdir())
        if path.suffix in MEDIA_TYPES
    }


def _read(path: Path, media_type: str) -> StaticFile:
    content = path.read_bytes()
    return StaticFile(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def _has(header: str, etag: str) -> bool:
    """Whether If-None-Match names this file. Compressing proxies mark an ETag as weak with `W/`."""
    named = [each.strip().removeprefix("W/") for each in header.split(",")]
    return etag in named or "*" in named
