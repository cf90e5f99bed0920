"""What a person may say of one run of a verb, in Airflow's form or by options."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from pipeline import layout
from pipeline.moments import UNTIL_LIFTED


def _number(text: object) -> object:
    """v4 and 4 are one version."""
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
    """Airflow's form may have fields for other verbs, too."""

    model_config = ConfigDict(extra="ignore")


class RollbackForm(_Form):
    """Of a roll-back. `hold` is for how long nothing is promoted after it; see `pipeline.moments.hold_until`."""

    to: Annotated[str, BeforeValidator(_target)] = "previous"
    reason: str = ""
    hold: str = UNTIL_LIFTED


class PinForm(_Form):
    """Of a pin: the version that serves and stays."""

    to: Version
    reason: str = ""


class FreezeForm(_Form):
    """Of a freeze; see `pipeline.moments.moment`."""

    until: str
    reason: str = ""


class ReadmitForm(_Form):
    """Of the readmission of a withdrawn version's model."""

    version: Version
    reason: str = ""


class ReasonForm(_Form):
    """Of a verb that only wants to know why."""

    reason: str = ""


class RetainForm(_Form):
    """Of a retention: `keep` good versions, whatever is younger than `days`; by default as the model file says."""

    dry_run: bool = False
    keep: int | None = Field(default=None, ge=0)
    days: float | None = Field(default=None, ge=0, allow_inf_nan=False)


class AnnounceForm(_Form):
    """Of an announcement: what was announced already, see `pipeline.verbs.announce`, and how old a change must be."""

    announced: list[dict[str, Any]] = []
    grace_seconds: float = Field(default=0, ge=0, le=86_400)
