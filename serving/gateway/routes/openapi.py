"""What the OpenAPI document says of bodies that routes read by themselves, and of errors."""

from typing import Any

from pydantic import BaseModel


class Error(BaseModel):
    """Why there is no other answer."""

    error: str


# Each route may answer with these.
_OF_ALL = {
    400: "Malformed, or a parameter out of its range",
    401: "No key, or one that is not known",
    403: "A gateway without keys, asked by a page of another site or by another name than localhost",
    405: "Another method than those of this path",
    429: "Too many requests with this key, or too many without one",
    500: "The gateway failed",
}
# Those that ask a model server, also with these. `openapi_document` removes what a request without a body never gets.
_OF_MODELS = {
    404: "No such model or version",
    408: "The request did not arrive in time",
    413: "Too large",
    415: "Not a content type that is read here",
    422: "An image that cannot be used",
    502: "A model server failed",
    503: "No model server can answer now",
    504: "The request was not answered in time",
}


def _responses(errors: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Error, "description": text} for status, text in sorted(errors.items())}


ERRORS_OF_ALL = _responses(_OF_ALL)
ERRORS = _responses(_OF_ALL | _OF_MODELS)


def path_parameters(*names: str) -> dict[str, Any]:
    """For `openapi_extra`: the path has these parameters, which the route reads by itself."""
    return {
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
            for name in names
        ]
    }


def query_parameter(name: str, *, limit: int, description: str) -> dict[str, Any]:
    """For the `parameters` of `openapi_extra`: a whole number from 1, which the route reads by itself."""
    schema = {"type": "integer", "minimum": 1, "maximum": limit}
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def json_body(schema: dict[str, Any]) -> dict[str, Any]:
    """For `openapi_extra`: the route takes JSON."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def multipart_body(field: str) -> dict[str, Any]:
    """For `openapi_extra`: the route takes one file in this field."""
    properties = {field: {"type": "string", "format": "binary"}}
    schema = {"type": "object", "required": [field], "properties": properties}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}
