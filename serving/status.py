"""What a model server raises: a gRPC status code and a message, as TensorFlow's `absl::Status` has them.

    StatusError
    ├── InvalidArgumentError    ├── FailedPreconditionError    ├── CancelledError
    ├── NotFoundError           ├── UnimplementedError         ├── InternalError
    ├── DataLossError           ├── ResourceExhaustedError     └── UnknownError
    └── DeadlineExceededError   └── UnavailableError

TensorFlow's C library and the model server raise these; what a client of a server meets is in `serving/errors.py`.
A client decides by the code whether to retry, so every error has one, and whoever catches an exception of another
library raises one of these instead.
"""

from typing import ClassVar

from grpc import StatusCode

CODE_BY_NUMBER = {code.value[0]: code for code in StatusCode}


class StatusError(Exception):
    """Reads as TensorFlow Serving prints a status: `NOT_FOUND: Could not find version 3 of model digits`."""

    default: ClassVar[StatusCode] = StatusCode.UNKNOWN

    def __init__(self, message: str, code: StatusCode | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"

    @property
    def number(self) -> int:
        number: int = self.code.value[0]
        return number


class CancelledError(StatusError):
    default = StatusCode.CANCELLED


class DataLossError(StatusError):
    default = StatusCode.DATA_LOSS


class DeadlineExceededError(StatusError):
    default = StatusCode.DEADLINE_EXCEEDED


class FailedPreconditionError(StatusError):
    default = StatusCode.FAILED_PRECONDITION


class InternalError(StatusError):
    default = StatusCode.INTERNAL


class InvalidArgumentError(StatusError):
    default = StatusCode.INVALID_ARGUMENT


class NotFoundError(StatusError):
    default = StatusCode.NOT_FOUND


class ResourceExhaustedError(StatusError):
    default = StatusCode.RESOURCE_EXHAUSTED


class UnavailableError(StatusError):
    default = StatusCode.UNAVAILABLE


class UnimplementedError(StatusError):
    default = StatusCode.UNIMPLEMENTED


class UnknownError(StatusError):
    default = StatusCode.UNKNOWN
