"""The errors of a model server: a gRPC status code and a message, as in TensorFlow's `absl::Status`.

    StatusError
    ├── InvalidArgumentError    ├── FailedPreconditionError    ├── CancelledError
    ├── NotFoundError           ├── UnimplementedError         ├── InternalError
    ├── DataLossError           ├── ResourceExhaustedError     └── UnknownError
    └── DeadlineExceededError   └── UnavailableError

TensorFlow's C library and the model server raise these; the errors of a server's client are in `serving/errors.py`. A
client decides by the code whether to retry. So every error has one, and code that catches an exception of another
library raises one of these instead.
"""

from typing import ClassVar

from grpc import StatusCode

CODE_BY_NUMBER = {code.value[0]: code for code in StatusCode}


class StatusError(Exception):
    """An error with a status code.

    Its text is TensorFlow Serving's: `NOT_FOUND: Could not find version 3 of model digits`.
    """

    default: ClassVar[StatusCode] = StatusCode.UNKNOWN

    def __init__(self, message: str, code: StatusCode | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"

    @property
    def number(self) -> int:
        """The number of the code, as in google.rpc.Code."""
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
