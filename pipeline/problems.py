"""Everything that is wrong with what a person gave us, collected so that it is all said at once."""

_SHOWN = 50


class Problems:
    """Problems in the order in which they were found. All are counted; the first 50 are kept."""

    def __init__(self) -> None:
        self.count = 0
        self._kept: list[str] = []

    def add(self, problem: str) -> None:
        self.count += 1
        if len(self._kept) < _SHOWN:
            self._kept.append(problem)

    def __bool__(self) -> bool:
        return bool(self.count)

    def __str__(self) -> str:
        """A single problem as it is; several with their number, one a line."""
        if self.count == 1:
            return self._kept[0]
        rest = self.count - len(self._kept)
        lines = [*self._kept, *([f"and {rest} more"] if rest else [])]
        return "\n  ".join([f"{self.count} problems:", *lines])
