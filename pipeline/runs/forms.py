"""What a person may enter for one run of a verb, in Airflow's form or as options.

Every form is a pydantic model; a wrong field raises its `ValidationError`.
"""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from pipeline import layout
from pipeline.moments import UNTIL_LIFTED


def _number(text: object) -> object:
    """A version number from text: `v4` and `4` are the same."""
    stripped = text.strip().removeprefix("v") if isinstance(text, str) else text
    if isinstance(stripped, str) and layout.version_number(stripped) is None:
        raise ValueError("give a version number, for example 4 or v4")
    return stripped


def _target(text: object) -> object:
    if isinstance(text, str) and text.strip() == "previous":
        return "previous"
    try:
        return str(_number(text))
    except ValueError as error:
        raise ValueError("give a version number, for example 4 or v4, or: previous") from error


Version = Annotated[int, Field(ge=1), BeforeValidator(_number)]


class _Form(BaseModel):
    """A form. Unknown fields are ignored, because Airflow's form may have fields for other verbs."""

    model_config = ConfigDict(extra="ignore")


class RollbackForm(_Form):
    """The form of a roll-back.

    `hold` is for how long promotions are held afterwards; see `pipeline.moments.hold_until`.
    """

    to: Annotated[str, BeforeValidator(_target)] = "previous"
    reason: str = ""
    hold: str = UNTIL_LIFTED


class PinForm(_Form):
    """The form of a pin: the version to serve and to keep."""

    to: Version
    reason: str = ""


class FreezeForm(_Form):
    """The form of a freeze; for `until` see `pipeline.moments.moment`."""

    until: str
    reason: str = ""


class ReadmitForm(_Form):
    """The form of a readmission: the withdrawn version."""

    version: Version
    reason: str = ""


class ReasonForm(_Form):
    """The form of a verb that needs only a reason."""

    reason: str = ""


class RetainForm(_Form):
    """The form of a retention: keep `keep` good versions, and those younger than `days`.

    None: as the model file says.
    """

    dry_run: bool = False
    keep: int | None = Field(default=None, ge=0)
    days: float | None = Field(default=None, ge=0, allow_inf_nan=False)


class AnnounceForm(_Form):
    """Of an announcement: what was announced already, see `pipeline.verbs.announce`, and how old a change must be."""

    announced: list[dict[str, Any]] = []
    grace_seconds: float = Field(default=0, ge=0, le=86_400)
