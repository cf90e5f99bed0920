"""What a person may say of one run of a verb, in Airflow's form or by options."""

from pydantic import BaseModel, ConfigDict, Field, field_validator

from pipeline import layout


class RollbackForm(BaseModel):
    """Of a roll-back."""

    model_config = ConfigDict(extra="ignore")

    to: str = "previous"
    reason: str = ""

    @field_validator("to")
    @classmethod
    def _target(cls, to: str) -> str:
        if to != "previous" and layout.version_number(to) is None:
            raise ValueError("give a version number, or: previous")
        return to


class RetainForm(BaseModel):
    """Of a retention: `keep` good versions, whatever is younger than `days`; by default as the model file says."""

    model_config = ConfigDict(extra="ignore")

    dry_run: bool = False
    keep: int | None = Field(default=None, ge=0)
    days: float | None = Field(default=None, ge=0, allow_inf_nan=False)
