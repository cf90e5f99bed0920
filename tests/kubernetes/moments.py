"""Time stamps as Kubernetes writes them, always UTC."""

import datetime


def now() -> str:
    """The time stamp of an object: whole seconds."""
    return whole(datetime.datetime.now(datetime.UTC))


def whole(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def from_now(seconds: float) -> str:
    return whole(datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds))


def nanoseconds(moment: int) -> str:
    """The time stamp of a line of a log, with nine decimals.

    Args:
        moment: nanoseconds since 1970.
    """
    seconds, rest = divmod(moment, 10**9)
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def parse(text: str) -> int:
    """Nanoseconds since 1970 of a time stamp, to the microsecond.

    Raises:
        ValueError: it is no time stamp.
    """
    parsed = datetime.datetime.fromisoformat(text)
    since = parsed.astimezone(datetime.UTC) - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return since // datetime.timedelta(microseconds=1) * 1000
