"""Which version of a model a request is for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """The version that is asked for, or else the label; neither is the newest version."""

    version: int | None
    label: str | None
