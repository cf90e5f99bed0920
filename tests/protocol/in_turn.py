"""Work in simulated time: one piece after the other, each done before the caller goes on."""

from collections.abc import Callable


class InTurn:
    """See `pipeline.rollout.workers.Workers`. However many may be at work at once, here it is one."""

    slots = 1

    def __init__(self, slots: int = 1) -> None:
        """Take the number that real workers need."""

    def start(self, work: Callable[[], None]) -> None:
        work()

    def close(self) -> None:
        """Nothing is left to do."""
