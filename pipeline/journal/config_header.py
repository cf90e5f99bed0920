"""The first line of a config that servers poll: it names the journal entry that the config renders."""

import re

HEADER = re.compile(r"# journal entry ([0-9]+)(?:, (.*))?")


def rendered_entry(text: str) -> int | None:
    """The number of the journal entry that a config renders; None for a config that Understudy did not write."""
    found = HEADER.match(text)
    return int(found.group(1)) if found else None
