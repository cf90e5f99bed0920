"""The key of a run: what kind of run it is, and when it was asked for."""

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self

from pipeline.errors import BadInputError

_FORM = re.compile(r"[a-z][a-z0-9]*-[0-9a-z-]{1,60}")
_MOMENT = "%Y%m%d%H%M%S%f"


class Kind(StrEnum):
    """What a run is for. Other kinds are allowed, for example `demo`."""

    RETRAIN = "retrain"
    ROLLBACK = "rollback"
    FREEZE = "freeze"
    UNFREEZE = "unfreeze"
    READMIT = "readmit"
    RECONCILE = "reconcile"
    RETAIN = "retain"


class RunKey(str):
    """The name of a run: `<kind>-<moment>`, for example `retrain-20260101120000000000`. It is also a folder name.

    Raises:
        BadInputError: the text does not have that form.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        if _FORM.fullmatch(text) is None:
            raise BadInputError(
                f"the run key {text!r} does not have the form kind-digits; an example is retrain-20260101120000"
            )
        return super().__new__(cls, text)

    @classmethod
    def new(cls, kind: Kind) -> Self:
        """A key for a run that is asked for now."""
        return cls(f"{kind}-{datetime.now(UTC):{_MOMENT}}")

    @property
    def kind(self) -> str:
        """What the run is for; usually a `Kind`."""
        return kind_of(self)

    @property
    def moment(self) -> datetime | None:
        """When the run was asked for, in UTC; None if the key has no moment."""
        try:
            return datetime.strptime(self.partition("-")[2], _MOMENT).replace(tzinfo=UTC)
        except ValueError:
            return None


def is_run_key(text: str) -> bool:
    """Whether a text has the form of a run key."""
    return _FORM.fullmatch(text) is not None


def kind_of(text: str) -> str:
    """The kind of a run key that is stored as text, as in the journal."""
    return text.partition("-")[0]


def is_rollback(text: str) -> bool:
    """Whether a run key belongs to a roll-back, not to a retraining."""
    return kind_of(text) == Kind.ROLLBACK
