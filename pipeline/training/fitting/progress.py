"""What people read while a network is trained: a line per epoch, and in long epochs a line every half minute."""

import logging
import time
from collections.abc import Mapping

log = logging.getLogger(__name__)

_SECONDS = 30.0
_MINUTE = 60.0
_HOUR = 3600.0


class Progress:
    """The lines of one phase."""

    def __init__(self, *, first: int, last: int, later: int, total: int, steps: int, name: str) -> None:
        """Begin.

        Args:
            first: how many epochs of all phases were done before.
            last: the number of the last epoch of this phase, if it does not end early.
            later: the epochs of the phases after this one.
            total: the epochs of all phases, if none ends early.
            steps: of an epoch.
            name: of the phase; empty with a single one.
        """
        self._first = first
        self._last = last
        self._later = later
        self._total = total
        self._steps = steps
        self._name = f"{name}, " if name else ""
        self._began = self._said = time.monotonic()

    def step(self, number: int) -> None:
        """After a step of an epoch, from 1."""
        now = time.monotonic()
        if now - self._said >= _SECONDS:
            self._said = now
            log.info("%s%d of %d steps of this epoch", self._name, number, self._steps)

    def epoch(self, number: int, metrics: Mapping[str, float], *, best: int, is_over: bool) -> None:
        """After an epoch of all phases, from 1; `is_over`: the phase is."""
        self._said = time.monotonic()
        described = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        each = (self._said - self._began) / (number - self._first)
        log.info(
            "epoch %d of %d: %s%s; best: %d; %s an epoch, %s",
            number,
            self._total,
            self._name,
            described,
            best,
            spoken(each),
            self._rest(number, each, is_over=is_over),
        )

    def _rest(self, number: int, each: float, *, is_over: bool) -> str:
        """What comes after an epoch. A later phase is taken to be as fast as this one."""
        if not is_over:
            return f"about {spoken((self._last - number + self._later) * each)} left"
        early = ": it stops early" if number < self._last else ""
        if self._later:
            return f"the last one of this phase{early}, about {spoken(self._later * each)} left"
        return f"the last one{early}"


def spoken(seconds: float) -> str:
    """A time as people say it: 0.3 s, 12 s, 4 min, 2.5 h."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    return f"{seconds / _MINUTE:.0f} min" if seconds < 2 * _HOUR else f"{seconds / _HOUR:.1f} h"
