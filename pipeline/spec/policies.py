"""What a version must show before it serves, what is kept of versions, and what happens when one goes back."""

from datetime import UTC, datetime
from typing import Annotated

from croniter import CroniterBadDateError, croniter
from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo

from pipeline.spec.base import FROM_A_FILE, Frozen, Share


def _cron(text: str, info: ValidationInfo) -> str:
    """Read as Airflow reads it, which would otherwise find out when it makes a DAG of it."""
    if info.context != FROM_A_FILE:
        return text
    if len(text.split()) not in (1, 5) or not croniter.is_valid(text):
        raise ValueError('give a cron expression in UTC, for example "0 3 * * 1" for Mondays at 03:00, or null')
    try:
        croniter(text, datetime.now(UTC)).get_next()
    except CroniterBadDateError as error:
        raise ValueError("this moment never comes; give another cron expression, or null") from error
    return text


Schedule = Annotated[str, AfterValidator(_cron)]


class GatePolicy(Frozen):
    """What a candidate must show on the held-out images before anything is published."""

    example = "{min_accuracy: 0.9}"

    margin: Annotated[float, Field(gt=0, lt=1)] = 0.02
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    min_accuracy: Share = 0.5
    min_class_recall: Share = 0.2
    max_calibration_error: Share = 0.2
    max_size_mb: Annotated[float, Field(gt=0)] = 500
    max_latency_ms: Annotated[float, Field(gt=0)] = 200


class CanaryPolicy(Frozen):
    """What every replica must show of the candidate before it is promoted."""

    example = "{golden: 20}"

    golden: Annotated[int, Field(ge=1, le=500)] = 20
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.001
    fresh: Annotated[int, Field(ge=1, le=1000)] = 60
    max_accuracy_drop: Share = 0.05
    latency_rounds: Annotated[int, Field(ge=3, le=1000)] = 25
    max_latency_ratio: Annotated[float, Field(ge=1)] = 3
    latency_slack_ms: Annotated[float, Field(ge=0)] = 20


class RetentionPolicy(Frozen):
    """What `retain` leaves beyond the versions that have a role.

    `keep` is how many good versions before the one that serves, `days` the age of what is too young to go, counted from
    a version's last journal entry, and `run_days` that of a run's records. `schedule` is in UTC; null: only by hand.
    """

    example = "{keep: 3}"

    keep: Annotated[int, Field(ge=0)] = 3
    days: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 14
    # A run that trains leaves no word for hours.
    run_days: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 30
    schedule: Schedule | None = "0 5 * * 1"

    def __str__(self) -> str:
        return f"keep {self.keep}, {self.days:g} days"


class AutomaticRollback(Frozen):
    """What an automatic roll-back does beside giving traffic back: a promotion that stopped half-way is undone by one.

    `hold`: for how long nothing is promoted after it, as `--hold` of a manual one.
    """

    example = "{hold: 2h}"

    hold: Annotated[str, StringConstraints(pattern=r"^(none|until lifted|[1-9][0-9]{0,4}[mhd])$")] = "none"
