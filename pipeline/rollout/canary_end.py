"""Whether a canary is over before every replica has been asked. A fresh list of the replicas must confirm it."""

from threading import Event, Lock

from pipeline.rollout.crash_detector import CrashDetector
from pipeline.rollout.replicas import Replicas


def is_over(replicas: Replicas, crashes: CrashDetector) -> bool:
    """Whether to stop waiting, see `CrashDetector.is_over`.

    Before that, the list is asked for again: one of a second ago may contain a pod that was deleted since then.
    """
    return crashes.is_over(replicas.known_addresses()) and crashes.is_over(replicas.known_addresses(fresh=True))


class CanaryEnd:
    """The same for many threads that ask replicas: one fresh list is enough for all, and the end is final.

    Attributes:
        crashes: knows what speaks against the candidate.
    """

    def __init__(self, replicas: Replicas, crashes: CrashDetector) -> None:
        self.crashes = crashes
        self._replicas = replicas
        self._confirmed = Event()
        self._confirming = Lock()

    def has_come(self) -> bool:
        """Whether no further replica is to be asked."""
        if self._confirmed.is_set():
            return True
        if not self.crashes.is_over(self._replicas.known_addresses()):
            return False
        with self._confirming:
            if not self._confirmed.is_set() and is_over(self._replicas, self.crashes):
                self._confirmed.set()
        return self._confirmed.is_set()
