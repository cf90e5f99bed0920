"""What a method and a path ask for, by upstream's own patterns and with their quirks.

Paths are matched whatever their case, yet a verb or `metadata` counts only in lower case. A query string is part of
the path: `/v1/models/m?x=1` asks for a model named `m?x=1`.
"""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from serving.apis import model_pb2
from serving.status import InvalidArgumentError

PREDICT, CLASSIFY, REGRESS = "predict", "classify", "regress"
METADATA = "metadata"

# Methods that reach the API, to be answered or refused there; all others are not implemented.
METHODS = frozenset(("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"))

LARGEST_VERSION = 2**63 - 1

_VERSION_OR_LABEL = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_FLAGS = re.IGNORECASE | re.ASCII
_API = re.compile(r"/v1/.*", _FLAGS)
_INFERENCE = re.compile(rf"/v1/models/(?P<model>[^/:]+){_VERSION_OR_LABEL}:(?P<verb>classify|regress|predict)", _FLAGS)
_ABOUT = re.compile(rf"/v1/models(?:/(?P<model>[^/:]+))?{_VERSION_OR_LABEL}(?:/(?P<topic>metadata))?", _FLAGS)
_CHARACTERS = r"[-A-Za-z0-9._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2}"
_TARGET = re.compile(rf"(?:{_CHARACTERS})*(?:\?(?:{_CHARACTERS}|\?)*)?")


@dataclass(frozen=True, kw_only=True)
class Route:
    """`found` is false for what upstream calls a malformed request; a model or verb may be known even then."""

    found: bool = False
    model: str = ""
    version: str = ""
    label: str = ""
    verb: str = ""
    topic: str = ""

    def spec(self) -> Any:
        """The ModelSpec asked for; raises INVALID_ARGUMENT for a version that is no int64."""
        spec = model_pb2.ModelSpec(name=self.model)
        if self.version:
            # Measured before it is converted: Python refuses, with another error, to convert thousands of digits.
            if len(self.version.lstrip("0")) > len(str(LARGEST_VERSION)) or int(self.version) > LARGEST_VERSION:
                raise InvalidArgumentError(f"Failed to convert version: {self.version} to numeric.")
            spec.version.value = int(self.version)
        if self.label:
            spec.version_label = self.label
        return spec


def is_target(target: str) -> bool:
    """Whether this may stand in a request line at all: a path with an optional query, in the characters of a URI."""
    return _TARGET.fullmatch(target) is not None


def is_api(target: str) -> bool:
    """Whether the REST API answers here, if only with an error; elsewhere nothing is."""
    return _API.fullmatch(target) is not None


def find_route(method: str, target: str) -> Route:
    pattern = {"GET": _ABOUT, "POST": _INFERENCE}.get(method)
    match = pattern.fullmatch(target) if pattern else None
    if match is None:
        return Route()
    parts = {name: value or "" for name, value in match.groupdict().items()}
    verb = parts.get("verb", "")
    return Route(
        found=method == "GET" or verb in (PREDICT, CLASSIFY, REGRESS),
        model=_decoded(parts["model"]),
        version=parts["version"],
        label=_decoded(parts["label"]),
        verb=verb,
        topic=parts.get("topic", ""),
    )


def _decoded(part: str) -> str:
    """Bytes that are no UTF-8 cannot be in the name of a model here, and become U+FFFD."""
    return unquote(part, errors="replace")
