"""Whether the gateway is about to stop, for all who must know: /readyz, and what makes clients go elsewhere."""


class Stopping:
    """False until it is set, from whichever thread; then true for good."""

    def __init__(self) -> None:
        self._set = False

    def __bool__(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True
