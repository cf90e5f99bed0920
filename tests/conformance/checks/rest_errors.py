"""What REST refuses, with which code and words."""

import gzip

from tests.conformance.checks.rest import body
from tests.conformance.facts import Needs, fact
from tests.conformance.server import ASKED, ServerUnderTest

_BASE = f"/v1/models/{ASKED}"


@fact(
    "rest-error-codes",
    "an unknown model or version is 404, an unknown label or signature 400; the text is in `error`",
    relied="README: the example with curl; readiness probes",
    needs=Needs.REST,
)
def _codes(at: ServerUnderTest) -> None:
    row = {"instances": [1.0]}
    for path, asked, status, words in (
        ("/v1/models/nobody", row, 404, "Servable not found for request: Latest(nobody)"),
        (f"{_BASE}/versions/99", row, 404, f"Servable not found for request: Specific({ASKED}, 99)"),
        (f"{_BASE}/labels/other", row, 400, "Unrecognized servable version label: other"),
        (_BASE, row | {"signature_name": "s"}, 400, 'Serving signature name: "s" not found in signature def'),
    ):
        at.expect((status, {"error": words}), body(at.post(f"{path}:predict", json=asked)))


@fact(
    "rest-bad-bodies",
    "a body that cannot be read is 400, and the text says why",
    relied="embedded server",
    needs=Needs.REST,
)
def _bodies(at: ServerUnderTest) -> None:
    for content, words in (
        (b"", "JSON Parse error: The document is empty"),
        (b"{}", "Missing 'inputs' or 'instances' key"),
        (b'{"instances": ["text"]}', "is not of expected type: float"),
        (b'{"instances": [[1], [1, 2]]}', "Expecting tensor size: 1 but got: 2"),
        (b'{"inputs": {"z": [1]}}', "Missing named input: x in 'inputs' object."),
    ):
        answer = at.post(f"{_BASE}:predict", content=content)
        at.expect(400, answer.status_code, repr(content))
        at.expect_in(words, answer.text.replace("\\u0027", "'"), repr(content))


@fact(
    "rest-bad-paths",
    "below /v1 a path that means nothing is 400 (`Malformed request`), a version that is too large is 400 without a "
    "body; elsewhere it is 404",
    relied="embedded server",
    needs=Needs.REST,
)
def _paths(at: ServerUnderTest) -> None:
    at.expect((400, {"error": "Malformed request: GET /v1/foo"}), body(at.get("/v1/foo")))
    at.expect((400, {"error": "Missing model name in request."}), body(at.get("/v1/models")))
    at.expect(404, at.get("/foo").status_code)
    too_large = at.get(f"{_BASE}/versions/9999999999999999999")
    at.expect((400, ""), (too_large.status_code, too_large.text))


@fact(
    "rest-case",
    "paths are matched whatever their case",
    relied="embedded server",
    needs=Needs.REST,
)
def _case(at: ServerUnderTest) -> None:
    at.expect(200, at.get(f"/V1/MODELS/{ASKED}").status_code)


@fact("rest-unknown-method", "an unknown method is 501", relied="embedded server", needs=Needs.REST)
def _unknown_method(at: ServerUnderTest) -> None:
    at.expect(501, at.http("BREW", _BASE).status_code)


@fact(
    "rest-large-head",
    "a request may have 600 kB of headers",
    relied="embedded server",
    needs=Needs.REST,
)
def _large_head(at: ServerUnderTest) -> None:
    at.expect(200, at.get(_BASE, headers={"x-large": "x" * 600_000}).status_code)


@fact(
    "rest-gzip",
    "a body may be gzip; one that grows beyond 100 MiB counts as empty",
    relied="embedded server",
    needs=Needs.REST,
)
def _gzip(at: ServerUnderTest) -> None:
    headers = {"Content-Encoding": "gzip"}
    small = gzip.compress(b'{"instances": [1.0]}')
    at.expect((200, {"predictions": [2.0]}), body(at.post(f"{_BASE}:predict", content=small, headers=headers)))
    large = gzip.compress(b'{"instances": [1.0]}' + b" " * (100 * 2**20), compresslevel=1)
    answer = at.post(f"{_BASE}:predict", content=large, headers=headers)
    at.expect((400, True), (answer.status_code, "The document is empty" in answer.text))
