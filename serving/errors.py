"""Every way a request to a model server can fail.

    ServingError
    ├── UnreachableError            no answer: the replica is down, cannot be reached, or is slower than the time limit
    │   ├── ConnectionLostError     no process listens there, or the connection broke
    │   ├── TooSlowError            no answer within the time limit
    │   ├── OverloadedError         the replica works, and its queue of requests is full
    │   └── CircuitOpenError        nothing was sent: a client has seen nearly all requests to the fleet fail
    ├── NotServedError              the replica works, and does not have that model, version or label (now)
    ├── RefusedError                the server does not accept the request or the configuration
    └── ServerFaultError            the server failed
    DiscoveryError                  which replicas exist could not be found out

    try:
        answer = replica.predict(...)
    except ServingError as error:
        ...  # error.address and the server's message are in its text

Only this module translates gRPC's statuses.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc


class ServingError(Exception):
    """A request to a model server failed. `address` is the replica; `message` is the reason without the address."""

    def __init__(self, address: str, message: str) -> None:
        super().__init__(f"{address}: {message}")
        self.address = address
        self.message = message


class DiscoveryError(Exception):
    """Which replicas exist could not be found out; the message names the source, the reason and what to check.

    It is about no replica, so it is not a `ServingError`.
    """


class UnreachableError(ServingError):
    pass


class ConnectionLostError(UnreachableError):
    pass


class TooSlowError(UnreachableError):
    pass


class OverloadedError(UnreachableError):
    pass


class CircuitOpenError(UnreachableError):
    """`seconds` is the time until a request is sent again."""

    def __init__(self, address: str, message: str, *, seconds: float) -> None:
        super().__init__(address, message)
        self.seconds = seconds


class NotServedError(ServingError):
    pass


class RefusedError(ServingError):
    pass


class ServerFaultError(ServingError):
    pass


_UNREACHABLE = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
# The codes and texts of a server that has too many requests: the queue of TensorFlow Serving's batching is full or a
# request has waited in it for too long, or Python's gRPC server has as many calls as it may have. RESOURCE_EXHAUSTED
# alone may also be a message that is too large, or memory that the model could not get.
_OVERLOADED = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED}
_QUEUES = ("batch scheduling queue", "batching queue", "Concurrent RPC limit exceeded")
# gRPC's texts after a process has ended. A server that hangs, or a name without an address, is UNAVAILABLE too.
_ENDED = ("Connection refused", "Connection reset", "Socket closed")
# gRPC's texts for a handshake that failed, and what to check.
_EXPLAINED = {
    "OK": (
        "the TLS handshake failed: check that the server uses TLS, and that the CA of the fleet has signed its "
        "certificate"
    ),
    "Hostname Verification Check failed.": (
        "the server's certificate has another name: check that it has the TLS server name of the fleet, or if there "
        "is none, the host of the address"
    ),
    "Failed to create security handshaker.": (
        "the fleet's TLS files cannot be used: check that the CA, the client certificate and its key are PEM, and that "
        "the key belongs to the certificate"
    ),
    "Socket closed": (
        "Socket closed: check that the process runs; if it does, check whether it uses TLS, and which client "
        "certificates it accepts"
    ),
}
_REFUSED = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.ABORTED,
}


@contextmanager
def translated(address: str) -> Iterator[None]:
    """Translate gRPC's errors of the block; the server's message is kept."""
    try:
        yield
    except grpc.RpcError as error:
        raise _translate(address, error) from error


def _translate(address: str, error: grpc.RpcError) -> ServingError:
    code, details = error.code(), error.details() or "no details"
    if "failed to connect to all addresses" in details:
        details = _why_not_connected(details)
    message = f"{code.name}: {details}"
    return _kind(code, details)(address, message)


def _kind(code: grpc.StatusCode, details: str) -> type[ServingError]:
    if code in _OVERLOADED and any(queue in details for queue in _QUEUES):
        return OverloadedError
    if code in _UNREACHABLE:
        return _kind_of_silence(code, details)
    # An unknown label is INVALID_ARGUMENT, an unknown version NOT_FOUND. A caller may retry both.
    if code is grpc.StatusCode.NOT_FOUND or "Unrecognized servable version label" in details:
        return NotServedError
    return RefusedError if code in _REFUSED else ServerFaultError


def _kind_of_silence(code: grpc.StatusCode, details: str) -> type[ServingError]:
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return TooSlowError
    lost = code is grpc.StatusCode.UNAVAILABLE and any(ended in details for ended in _ENDED)
    return ConnectionLostError if lost else UnreachableError


def _why_not_connected(details: str) -> str:
    reason = details.rpartition(": ")[2]  # gRPC repeats the address three times
    return f"no connection ({_EXPLAINED.get(reason, reason)})"
