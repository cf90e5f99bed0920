"""Files and folders that systems and tools leave beside other files."""

import logging

log = logging.getLogger(__name__)

# In lower case. Names that begin with a dot are skipped too: `.DS_Store`, `._photo.jpg`, `.ipynb_checkpoints`.
SYSTEM_NAMES = frozenset({"thumbs.db", "desktop.ini", "__macosx", "@eadir"})
_EXAMPLES = 5


def is_system_name(name: str) -> bool:
    """Whether a file or folder of this name is left by a system or a tool."""
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


class Skipped:
    """What was skipped below one root: how many, and a few names. `what` says in the plural what it is."""

    def __init__(self, what: str = "hidden or system files and folders") -> None:
        self._what = what
        self._count = 0
        self._examples: dict[str, None] = {}

    def add(self, name: str) -> None:
        """Count a file or folder by its path below the root."""
        self._count += 1
        if len(self._examples) < _EXAMPLES:
            self._examples[name] = None

    def say(self, address: str) -> None:
        """Write one line to the log if anything was skipped."""
        if self._count:
            more = ", ..." if self._count > len(self._examples) else ""
            log.info(
                "%s: skipped %d %s: %s%s",
                address,
                self._count,
                self._what,
                ", ".join(self._examples),
                more,
            )
