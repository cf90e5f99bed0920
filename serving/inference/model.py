"""What a loaded model is to those who ask it."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from serving.wire import Array

DEFAULT_SIGNATURE = "serving_default"


class Model(Protocol):
    """Signatures by name, and tensors in, tensors out by their names in the graph."""

    @property
    def signatures(self) -> Mapping[str, Any]: ...

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], *, timeout_seconds: float | None = None
    ) -> Sequence[Array]:
        """Raise StatusError when the model cannot answer, DEADLINE_EXCEEDED when it is not done in time."""
        ...


class LoadedModel(Model, Protocol):
    """A model that can be asked, and that holds memory until it is closed."""

    def close(self) -> None: ...
