"""What is stated about TensorFlow Serving, each statement with the check that compares it with a running server."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar


class Needs(StrEnum):
    """What a check needs; the text says how a fact is checked."""

    REQUESTS = "requests"
    REST = "HTTP requests"
    FILES = "configs and files"
    FILES_AND_REST = "configs, files and HTTP requests"
    OWN = "a server of its own"


@dataclass(frozen=True)
class Fact:
    """One statement.

    Args:
        id: its name in documents, reports and on the command line.
        statement: what a stock server does.
        relied: what would break if it did not.
        needs: what the check needs.
        check: raises Differs where the server does something else; it gets a server under test, or a launcher.
    """

    id: str
    statement: str
    relied: str
    needs: Needs
    check: Callable[[Any], None]


class Differs(Exception):  # noqa: N818 - an outcome, not an error
    """The server under test does something else than the fact says."""

    def __init__(self, expected: object, observed: object, what: str = "") -> None:
        super().__init__(f"{what}: expected {expected!r}, observed {observed!r}")
        self.expected, self.observed, self.what = expected, observed, what


class NotRunError(Exception):
    """The check could not be made; the text says why."""


FACTS: dict[str, Fact] = {}

Check = TypeVar("Check", bound=Callable[[Any], None])


def fact(name: str, statement: str, *, relied: str, needs: Needs) -> Callable[[Check], Check]:
    """Register the decorated function as the check of this fact."""

    def register(check: Check) -> Check:
        if name in FACTS:
            raise ValueError(f"there are two facts named {name}; give one of them another name")
        FACTS[name] = Fact(name, statement, relied, needs, check)
        return check

    return register
