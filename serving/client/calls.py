"""One request to a replica: which method, with which message, and how its answer is read. No input or output."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

from google.protobuf.message import DecodeError

from serving.errors import ServerFaultError

Result = TypeVar("Result")


class Default(Enum):
    """Stands for what a client was made with, where None has a meaning of its own."""

    LABEL = "the label of the client"


@dataclass(frozen=True)
class Call(Generic[Result]):
    """A request, and how to read its answer.

    Attributes:
        method: of gRPC: `Predict`, `GetModelMetadata` or `GetModelStatus`.
        message: the request.
        reading: the result, of the answer and the address of the replica that gave it; it may raise a ValueError
            or a DecodeError.
    """

    method: str
    message: Any
    reading: Callable[[Any, str], Result]

    def read(self, reply: Any, address: str) -> Result:
        """The result.

        Raises:
            ServerFaultError: the answer cannot be read.
        """
        try:
            return self.reading(reply, address)
        except (ValueError, DecodeError) as error:
            raise ServerFaultError(address, f"its answer cannot be read: {error}") from error
