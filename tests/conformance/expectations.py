"""Comparisons of what a fact says with what a server does, counted: a check that compares nothing proves nothing."""

import time
from collections.abc import Callable

from tests.conformance.facts import Differs

# Longer than two polls of a server that polls each second, plus a load and a repeated attempt.
EVENTUALLY_SECONDS = 20.0
# Long enough for a change to show that two polls would make.
SEVERAL_POLLS = 2.5
_ASK_AGAIN_SECONDS = 0.03


class Expectations:
    """What a check compares with; every method raises Differs."""

    def __init__(self) -> None:
        self.comparisons = 0

    def expect(self, expected: object, observed: object, what: str = "") -> None:
        self.comparisons += 1
        if expected != observed:
            raise Differs(expected, observed, what)

    def expect_in(self, part: str, whole: str, what: str = "") -> None:
        self.comparisons += 1
        if part not in whole:
            raise Differs(f"... {part} ...", whole, what)

    def eventually(self, expected: object, ask: Callable[[], object], what: str = "") -> None:
        """Ask until the answer is the expected one."""
        deadline = time.monotonic() + EVENTUALLY_SECONDS
        while (observed := ask()) != expected and time.monotonic() < deadline:
            time.sleep(_ASK_AGAIN_SECONDS)
        self.expect(expected, observed, what or f"within {EVENTUALLY_SECONDS:.0f} s")

    def stays(self, expected: object, ask: Callable[[], object], what: str = "") -> None:
        """Ask for the time of two polls; every answer is the expected one."""
        deadline = time.monotonic() + SEVERAL_POLLS
        while time.monotonic() < deadline:
            self.expect(expected, ask(), what or f"for {SEVERAL_POLLS} s")
            time.sleep(_ASK_AGAIN_SECONDS)
