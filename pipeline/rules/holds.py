"""Holds: a version is pinned, promotions are frozen until a moment, or a roll-back holds them. Pure.

A hold stops runs before they are promoted, and stops no roll-back. A person ends it, or its time.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pipeline.errors import BadInputError, DeclinedError
from pipeline.journal.entries import NO_VERSION, Change, Entry, Event
from pipeline.journal.history import History, Rule
from pipeline.moments import Until, until_text

_MOMENT = "%Y-%m-%d %H:%M UTC"


@dataclass(frozen=True)
class Hold:
    """Who holds promotions, since when, why and until when.

    Attributes:
        kind: `pin`, `freeze` or `roll-back`.
        actor: who began it.
        since: when.
        reason: why, for people.
        version: the pinned version, or the target of the roll-back; None for a freeze.
        until: when it ends; None for a pin.
    """

    kind: Literal["pin", "freeze", "roll-back"]
    actor: str
    since: datetime
    reason: str
    version: int | None = None
    until: Until | None = None

    def __str__(self) -> str:
        return f"{self._what}, by {self.actor} since {self.since:{_MOMENT}}: {self.reason}"

    @property
    def _what(self) -> str:
        if self.until is None:
            return f"v{self.version} is pinned"
        if self.kind == "freeze":
            return f"promotions are frozen until {until_text(self.until)}"
        to = f" to v{self.version}" if self.version else ""
        return f"promotions are held until {until_text(self.until)} after a roll-back{to}"

    def as_json(self) -> dict[str, Any]:
        """The hold for programs; moments are ISO 8601."""
        return {
            "kind": self.kind,
            "version": self.version,
            "until": self.until.isoformat() if isinstance(self.until, datetime) else self.until,
            "by": self.actor,
            "since": self.since.isoformat(),
            "reason": self.reason,
        }


def active_holds(history: History, *, now: datetime) -> list[Hold]:
    """Every hold that is in force now."""
    state = history.state
    holds = []
    pinned = history.of_model(state.pinned, Event.PINNED) if state.pinned is not None else None
    if pinned:
        holds.append(Hold("pin", pinned.actor, pinned.at, pinned.reason, version=state.pinned))
    frozen = history.of_version(NO_VERSION, Event.FROZEN)
    if frozen and state.frozen_until is not None and state.frozen_until > now:
        holds.append(Hold("freeze", frozen.actor, frozen.at, frozen.reason, until=state.frozen_until))
    held = _began_to_hold(history)
    if held and state.held_until is not None and (state.held_until == "lifted" or state.held_until > now):
        version = held.version or None
        holds.append(Hold("roll-back", held.actor, held.at, held.reason, version=version, until=state.held_until))
    return holds


def how_to_lift(model: str) -> str:
    """What a person does who wants promotions to go on."""
    return f'To lift every hold: the DAG `unfreeze`, or `understudy unfreeze --model {model} --reason "why it is over"`'


def require_no_hold(history: History, *, now: datetime, model: str) -> None:
    """Check that promotions are not held.

    Raises:
        DeclinedError: they are held; says by whom, why, until when, and how to lift that.
    """
    holds = active_holds(history, now=now)
    if holds:
        described = "; ".join(str(hold) for hold in holds)
        raise DeclinedError(f"{described}. {how_to_lift(model)}. Then trigger a new run")


def declined_if_held(rule: Rule, *, now: datetime, model: str) -> Rule:
    """`rule` for a run that releases a version: if promotions are held it declines, as `require_no_hold` does.

    It does not decline if nothing is left to write: a run that was promoted before may still confirm that.
    """

    def held(history: History) -> Change | None:
        try:
            change = rule(history)
        except DeclinedError:
            require_no_hold(history, now=now, model=model)  # this message says more than the rule's own
            raise
        if change is not None:
            require_no_hold(history, now=now, model=model)
        return change

    return held


def pin(history: History, *, version: int, reason: str) -> Change | None:
    """Keep `version`, which serves, serving.

    Raises:
        DeclinedError: it does not serve any more.
    """
    state = history.state
    if not history.is_same_model(state.serving, version):
        raise DeclinedError(
            f"v{version} does not serve any more ({state}), so it is not pinned. To pin it: `understudy pin --model "
            f"<model> --to {version} --reason why`"
        )
    if state.serving is None or state.pinned == state.serving:
        return None
    return Change(Event.PINNED, state.serving, reason, state.model_copy(update={"pinned": state.serving}))


def freeze(history: History, *, until: datetime, reason: str, now: datetime) -> Change | None:
    """Promote nothing until a moment. This replaces an earlier freeze.

    Raises:
        BadInputError: the moment has passed.
    """
    if until <= now:
        raise BadInputError(
            f"{until:{_MOMENT}} has passed: it is {now:{_MOMENT}}. Nothing was changed. Give a later moment. To end a "
            f"freeze: `understudy unfreeze --model <model> --reason why`"
        )
    if history.state.frozen_until == until:
        return None
    return Change(Event.FROZEN, NO_VERSION, reason, history.state.model_copy(update={"frozen_until": until}))


def unfreeze(history: History, *, reason: str) -> Change | None:
    """End every hold."""
    free = history.state.model_copy(update={"pinned": None, "frozen_until": None, "held_until": None})
    return Change(Event.UNFROZEN, NO_VERSION, reason, free) if free != history.state else None


def _began_to_hold(history: History) -> Entry | None:
    """The entry that began the hold of roll-backs which is in the state now."""
    return history.hold_began() if history.state.held_until is not None else None
