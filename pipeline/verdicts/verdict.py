"""What the gate and the canary say, and why."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Decision(StrEnum):
    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    UNKNOWN = "unknown"


class Verdict(BaseModel):
    """A decision and its reasons, each with the numbers it rests on."""

    model_config = ConfigDict(frozen=True)

    decision: Decision
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.decision}: {'; '.join(self.reasons)}"


class Check(BaseModel):
    """One rule applied: what it found, and the sentence that says so."""

    model_config = ConfigDict(frozen=True)

    decision: Decision
    reason: str


def conclude(checks: list[Check]) -> Verdict:
    """The verdict of all checks: one failure fails; else one unknown leaves it unknown; no evidence is not success."""
    if not checks:
        return Verdict(decision=Decision.FAIL, reasons=("nothing was measured",))
    for decision in (Decision.FAIL, Decision.UNKNOWN):
        reasons = tuple(check.reason for check in checks if check.decision is decision)
        if reasons:
            return Verdict(decision=decision, reasons=reasons)
    return Verdict(decision=Decision.PASS, reasons=tuple(check.reason for check in checks))


def at_least(name: str, value: float, floor: float, *, key: str) -> Check:
    """`key` is the limit in the model's YAML; a failure names it, so that nobody has to search for it."""
    if value >= floor:  # false for NaN, which must fail
        return Check(decision=Decision.PASS, reason=f"{name} {value:.4g} >= {floor:.4g}")
    return Check(decision=Decision.FAIL, reason=f"{name} {value:.4g} < {floor:.4g} ({key})")


def at_most(name: str, value: float, ceiling: float, *, key: str) -> Check:
    """Likewise."""
    if value <= ceiling:
        return Check(decision=Decision.PASS, reason=f"{name} {value:.4g} <= {ceiling:.4g}")
    return Check(decision=Decision.FAIL, reason=f"{name} {value:.4g} > {ceiling:.4g} ({key})")
