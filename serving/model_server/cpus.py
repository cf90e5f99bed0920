"""How many CPUs there are to share out among threads."""

import os


def usable_cpus() -> int:
    """Those this process may run on, where the system tells; a container sees more of them than it may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
