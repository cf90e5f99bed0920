"""The OpenAPI document: what the framework knows of the routes, and what it cannot know.

It knows no keys, because they are checked before a route is found; no headers of requests and answers; and not that a
request without a body gets none of the errors of a body.
"""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

# Which errors only a request with a body gets.
_OF_BODIES = ("408", "413", "415", "422")
# What only a gateway with keys answers, and what only one without.
_OF_KEYS, _WITHOUT_KEYS = ("401", "429"), ("403",)
# The framework's own answer to a wrong parameter, which the gateway answers with 400 and its own body.
_UNUSED = ("HTTPValidationError", "ValidationError")
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "an API key; as X-API-Key if you prefer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_TIMEOUT = {
    "name": "X-Timeout-Seconds",
    "in": "header",
    "required": False,
    "description": "how long the client waits for an answer, if that is less than the limit of the gateway",
    "schema": {"type": "number", "exclusiveMinimum": 0},
}
_REQUEST_ID = {"description": "the id of the request in the log of the gateway", "schema": {"type": "string"}}
_OF_ANSWERS = {
    "X-Model-Version": {"description": "the version that answered", "schema": {"type": "integer"}},
    "X-Replica": {"description": "the address of the replica that answered", "schema": {"type": "string"}},
}


class Gateway(FastAPI):
    """The framework's application, with the whole document.

    Args:
        keys: whether API keys are asked for.
        open_paths: which paths need none.
    """

    def __init__(self, *, keys: bool, open_paths: tuple[str, ...], **options: Any) -> None:
        super().__init__(**options)
        self._keys = keys
        self._open_paths = open_paths

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document = super().openapi()
            for path, operation in _operations(document):
                _describe_body(operation)
                _describe_keys(operation, keys=self._keys, is_open=path in self._open_paths)
                for response in operation["responses"].values():
                    response.setdefault("headers", {})["X-Request-Id"] = _REQUEST_ID
            for name in _UNUSED:
                document["components"]["schemas"].pop(name, None)
            if self._keys:
                document["components"]["securitySchemes"] = _SCHEMES
            self.openapi_schema = document
        return self.openapi_schema


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            yield path, operation


def _describe_body(operation: dict[str, Any]) -> None:
    """A request with a body asks a model, and no other does."""
    responses = operation["responses"]
    if "requestBody" in operation:
        operation["parameters"] = [*operation.get("parameters", ()), _TIMEOUT]
        responses["200"]["headers"] = dict(_OF_ANSWERS)
        return
    for status in _OF_BODIES:
        responses.pop(status, None)


def _describe_keys(operation: dict[str, Any], *, keys: bool, is_open: bool) -> None:
    needs_key = keys and not is_open
    if needs_key:
        operation["security"] = [{name: []} for name in _SCHEMES]
    absent = [*(_WITHOUT_KEYS if keys else ()), *(() if needs_key else _OF_KEYS)]
    for status in absent:
        operation["responses"].pop(status, None)
