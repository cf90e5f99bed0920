"""Moments and durations as people write them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Literal

from pipeline.errors import BadInputError

# Until when a roll-back holds promotions: a moment, or until somebody lifts the hold.
Until = datetime | Literal["lifted"]

_DURATION = re.compile(r"([0-9]+)([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}

UNTIL_LIFTED = "until lifted"
NONE = "none"


def moment(text: str, *, now: datetime) -> datetime:
    """A moment that a person has written: 90m, 12h or 3d from now, a date, or a date and a time; UTC if not said.

    Raises:
        BadInputError: it is none of these.
    """
    duration = _DURATION.fullmatch(text)
    try:
        if duration:
            return now + timedelta(**{_UNITS[duration[2]]: int(duration[1])})
        written = datetime.fromisoformat(text)
        return (written if written.tzinfo else written.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadInputError(
            f"{text!r} is not a date, a time or a duration. Examples: 2026-12-24, 2026-12-24T08:00, "
            f"2026-12-24T08:00+01:00, 90m, 12h, 3d"
        ) from error


def past_moment(text: str, *, now: datetime) -> datetime:
    """Likewise a moment in the past, where 90m, 12h or 3d are before now.

    Raises:
        BadInputError: it is none of these, or a moment that has not come yet.
    """
    written = moment(text.strip(), now=now)
    if not _DURATION.fullmatch(text.strip()):
        if written > now:
            raise BadInputError(f"{text!r} is in the future. Give --since a moment that has passed")
        return written
    try:
        return now - (written - now)
    except OverflowError as error:
        raise BadInputError(f"{text!r} ago is before the year 1. Give a shorter time, for example 3d") from error


def hold_until(text: str, *, now: datetime) -> Until | None:
    """Until when promotions are to be held: `until lifted`, `none`, or what `moment` reads.

    Raises:
        BadInputError: it is none of these, or a moment that has passed.
    """
    text = text.strip()
    if text == UNTIL_LIFTED:
        return "lifted"
    if text == NONE:
        return None
    try:
        until = moment(text, now=now)
    except BadInputError as error:
        raise BadInputError(
            f"{text!r} does not say how long promotions are to be held; give `{UNTIL_LIFTED}`, `{NONE}`, a duration "
            f"like 90m, 24h or 3d, or a moment like 2026-12-24T08:00"
        ) from error
    if until <= now:
        raise BadInputError(
            f"promotions cannot be held until {until:%Y-%m-%d %H:%M UTC}: that has passed; give a later moment, a "
            f"duration like 24h, `{UNTIL_LIFTED}` or `{NONE}`"
        )
    return until


def until_text(until: Until) -> str:
    return "lifted" if until == "lifted" else f"{until:%Y-%m-%d %H:%M} UTC"


def longest(*holds: Until | None) -> Until | None:
    """The hold that lasts longest; None where there is none."""
    if "lifted" in holds:
        return "lifted"
    return max((until for until in holds if isinstance(until, datetime)), default=None)
