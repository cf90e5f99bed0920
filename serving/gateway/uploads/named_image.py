"""An image of a request."""

from dataclasses import dataclass


@dataclass(frozen=True)
class NamedImage:
    """An encoded image as it was sent, and what the client calls it."""

    name: str | None
    content: bytes
