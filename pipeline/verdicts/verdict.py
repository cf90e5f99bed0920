"""The answer of the gate and of the canary, and the reasons for it."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Decision(StrEnum):
    """`pass`; `fail`: measured, and bad; `unknown`: could not be measured, or there are too few examples."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    UNKNOWN = "unknown"


class Verdict(BaseModel):
    """A decision and its reasons, each with the numbers it is based on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decision: Decision
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.decision}: {'; '.join(self.reasons)}"


class Check(BaseModel):
    """The result of one rule, and a sentence that says it."""

    model_config = ConfigDict(frozen=True)

    decision: Decision
    reason: str


def conclude(checks: list[Check]) -> Verdict:
    """The verdict of all checks: FAIL if one fails, else UNKNOWN if one is unknown. Without any check it is FAIL."""
    if not checks:
        return Verdict(decision=Decision.FAIL, reasons=("nothing was measured",))
    for decision in (Decision.FAIL, Decision.UNKNOWN):
        reasons = tuple(check.reason for check in checks if check.decision is decision)
        if reasons:
            return Verdict(decision=decision, reasons=reasons)
    return Verdict(decision=Decision.PASS, reasons=tuple(check.reason for check in checks))


def at_least(name: str, value: float, floor: float, *, key: str) -> Check:
    """Check that `value` is at least `floor`; NaN fails.

    `key` names the limit in the model file, and a failure contains it.
    """
    if value >= floor:  # false for NaN, which must fail
        return Check(decision=Decision.PASS, reason=f"{name} {value:.4g} >= {floor:.4g}")
    return Check(decision=Decision.FAIL, reason=f"{name} {value:.4g} < {floor:.4g} ({key})")


def at_most(name: str, value: float, ceiling: float, *, key: str) -> Check:
    """Check that `value` is at most `ceiling`; NaN fails. `key` is as in `at_least`."""
    if value <= ceiling:
        return Check(decision=Decision.PASS, reason=f"{name} {value:.4g} <= {ceiling:.4g}")
    return Check(decision=Decision.FAIL, reason=f"{name} {value:.4g} > {ceiling:.4g} ({key})")
