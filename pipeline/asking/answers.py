"""An answer about one image, or why there is none."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Answer:
    """The most probable labels of an image with their probabilities, and what answered.

    Attributes:
        labels: the most probable one first; at least one.
        version: the version that answered.
        replica: the replica, as `host:port`.
    """

    labels: Sequence[tuple[str, float]]
    version: int
    replica: str


@dataclass(frozen=True)
class ImageAnswer:
    """What became of one file: an answer, or a problem as a sentence.

    Attributes:
        no_server_answered: whether the reason is the servers, so that the next image will probably fail too.
    """

    image: Path
    answer: Answer | None = None
    problem: str = ""
    no_server_answered: bool = False

    def as_json(self) -> dict[str, Any]:
        """One object, either with labels or with an error."""
        if self.answer is None:
            return {"image": str(self.image), "error": self.problem}
        return {
            "image": str(self.image),
            "labels": [{"label": label, "probability": probability} for label, probability in self.answer.labels],
            "version": self.answer.version,
            "replica": self.answer.replica,
        }


class NoAnswerError(Exception):
    """No server answered about this image, in the time that it had."""


class BusyError(NoAnswerError):
    """The servers are busy. `seconds`: when to ask again."""

    def __init__(self, message: str, *, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class RefusedImageError(Exception):
    """The servers work, and do not answer about this image. The text is a sentence without the name of the image."""


class Asker(Protocol):
    """Asks about one image at a time; several of its calls may be under way."""

    async def ask(self, content: bytes) -> Answer:
        """The answer about a PNG or JPEG.

        Raises:
            BusyError: ask again later.
            NoAnswerError: no server answered.
            RefusedImageError: the servers do not answer about this image.
            UnderstudyError: they would not answer about any image; says why.
        """
