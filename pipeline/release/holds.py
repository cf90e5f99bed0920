"""While a person holds promotions: a version is pinned, or all is frozen until a moment. Pure, like `decisions`.

A hold stops runs on their way to serve, and no roll-back. It is a person's to end, or a moment's.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline.errors import BadInputError, DeclinedError
from pipeline.release.journal import NO_VERSION, Change, Event, History, Rule

_MOMENT = "%Y-%m-%d %H:%M UTC"


@dataclass(frozen=True)
class Hold:
    """Who holds promotions, since when and why: by a pin of `version`, or by a freeze `until` a moment."""

    actor: str
    since: datetime
    reason: str
    version: int | None = None
    until: datetime | None = None

    def __str__(self) -> str:
        what = (
            f"v{self.version} is pinned"
            if self.until is None
            else f"promotions are frozen until {self.until:{_MOMENT}}"
        )
        return f"{what}, by {self.actor} since {self.since:{_MOMENT}}: {self.reason}"

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": "freeze" if self.until else "pin",
            "version": self.version,
            "until": self.until.isoformat() if self.until else None,
            "by": self.actor,
            "since": self.since.isoformat(),
            "reason": self.reason,
        }


def in_force(history: History, *, now: datetime) -> list[Hold]:
    """Every hold there is now; a freeze that is over is none."""
    state = history.state
    holds = []
    pinned = history.of_model(state.pinned, Event.PINNED) if state.pinned is not None else None
    if pinned:
        holds.append(Hold(pinned.actor, pinned.at, pinned.reason, version=state.pinned))
    frozen = history.of_version(NO_VERSION, Event.FROZEN)
    if frozen and state.frozen_until is not None and state.frozen_until > now:
        holds.append(Hold(frozen.actor, frozen.at, frozen.reason, until=state.frozen_until))
    return holds


def unless_held(rule: Rule, *, now: datetime) -> Rule:
    """`rule` for a run on its way to serve: where promotions are held it declines, and says who holds them and why.

    What is already so stays so: a run that was promoted before may still confirm that.
    """

    def held(history: History) -> Change | None:
        try:
            change = rule(history)
        except DeclinedError:
            _require_none(history, now)  # says more than what follows from it
            raise
        if change is not None:
            _require_none(history, now)
        return change

    return held


def pin(history: History, *, version: int, reason: str) -> Change | None:
    """Keep what serves serving, which is `version`.

    Raises:
        DeclinedError: it does not serve any more.
    """
    state = history.state
    if not history.is_same_model(state.serving, version):
        raise DeclinedError(f"v{version} does not serve any more ({state}), so it is not pinned; pin again")
    if state.serving is None or state.pinned == state.serving:
        return None
    return Change(Event.PINNED, state.serving, reason, state.model_copy(update={"pinned": state.serving}))


def freeze(history: History, *, until: datetime, reason: str, now: datetime) -> Change | None:
    """Promote nothing until a moment, instead of whatever was frozen before.

    Raises:
        BadInputError: the moment has passed.
    """
    if until <= now:
        raise BadInputError(f"{until:{_MOMENT}} has passed, it is {now:{_MOMENT}}; give a later moment, or `unfreeze`")
    if history.state.frozen_until == until:
        return None
    return Change(Event.FROZEN, NO_VERSION, reason, history.state.model_copy(update={"frozen_until": until}))


def unfreeze(history: History, *, reason: str) -> Change | None:
    """End every hold."""
    free = history.state.model_copy(update={"pinned": None, "frozen_until": None})
    return Change(Event.UNFROZEN, NO_VERSION, reason, free) if free != history.state else None


def _require_none(history: History, now: datetime) -> None:
    holds = in_force(history, now=now)
    if holds:
        told = "; ".join(str(hold) for hold in holds)
        raise DeclinedError(f"{told}. When that is over, or ended by `unfreeze`, trigger a new run")
