"""The pages: `/` classifies images, `/docs` describes the API. Both are plain files, without a build step or a CDN."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from serving.gateway.errors import GatewayError
from serving.gateway.page.static_files import PREFIX, read_files

router = APIRouter(include_in_schema=False)

FILES = read_files()
# Monitors and `curl --head` ask so; the server leaves the body out.
_METHODS = ["GET", "HEAD"]


@router.api_route("/", methods=_METHODS)
async def index(request: Request) -> Response:
    return FILES["index.html"].response(request)


@router.api_route("/docs", methods=_METHODS)
async def docs(request: Request) -> Response:
    return FILES["docs.html"].response(request)


@router.api_route(PREFIX + "{name}", methods=_METHODS)
async def static_file(request: Request, name: str) -> Response:
    """A script, a style sheet or an image of the pages, or a page itself."""
    file = FILES.get(name)
    if file is None:
        raise GatewayError(404, "the pages of this gateway have no such file")
    return file.response(request)
