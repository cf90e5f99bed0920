"""The images of a request, in whichever of the three ways they were sent."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from fastapi import Request

from serving.gateway.errors import GatewayError
from serving.gateway.offload import LARGE_UPLOAD, in_thread_if_large
from serving.gateway.settings import Settings
from serving.gateway.uploads.body import read_body
from serving.gateway.uploads.encoded import images_of
from serving.gateway.uploads.multipart import files_of
from serving.gateway.uploads.named_image import NamedImage

# Of a body, besides image/*.
_CONTENT_TYPES = ("multipart/form-data", "application/json", "application/octet-stream")


async def read_images(request: Request) -> tuple[Sequence[NamedImage], Any]:
    """The images, and the `top` of a JSON body, which is not checked here; None if there is none.

    Raises:
        GatewayError: 400, 408, 413 or 415; see the modules of this folder.
    """
    settings: Settings = request.app.state.settings
    content_type = request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if not kind.startswith("image/") and kind not in _CONTENT_TYPES:
        text = "send an image as the body (Content-Type: image/png or image/jpeg), as multipart/form-data, or as JSON"
        raise GatewayError(415, text)
    body = await read_body(request, settings.limits)
    if kind == "application/json":
        parse = partial(images_of, body, limit=settings.limits.images)
        return await in_thread_if_large(len(body), parse, large=LARGE_UPLOAD)
    if kind == "multipart/form-data":
        split = partial(files_of, body, content_type, limit=settings.limits.images)
        parts = await in_thread_if_large(len(body), split, large=LARGE_UPLOAD)
        return [NamedImage(part.name or None, part.content) for part in parts], None
    return [NamedImage(None, body)], None
