"""What is loaded and unloaded: a servable, its id, and the function that loads it."""

from collections.abc import Callable
from typing import NamedTuple, Protocol


class ServableId(NamedTuple):
    """A model's name and one of its versions, a signed 64-bit number; printed as upstream prints it."""

    name: str
    version: int

    def __str__(self) -> str:
        return f"{{name: {self.name} version: {self.version}}}"


class Servable(Protocol):
    """What a loader returns: something that holds memory until it is closed."""

    def close(self) -> None: ...


# Loads one version from its directory or URI; raises StatusError where it cannot.
Load = Callable[[ServableId, str], Servable]
