"""An id for each request: it is in the reply, in the log and in what an error says."""

import os
import re

HEADER = b"x-request-id"

# Those that proxies and tracing make: UUIDs, hexadecimal numbers, ULIDs. Anything else a client could use to mislead
# the reader of a log.
_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{7,63}")


def request_id(offered: str | None) -> str:
    """The client's id if it is one, else a new one of 32 hexadecimal digits."""
    if offered is not None and _PATTERN.fullmatch(offered):
        return offered
    return os.urandom(16).hex()
