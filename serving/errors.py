"""Every way a question to a model server can go wrong.

ServingError
├── UnreachableError    no answer: the replica is down, away, or slower than the deadline
│   └── ConnectionLostError    nobody listens there, or the connection broke
├── NotServedError      the replica is well and does not have that model, version or label (now)
├── RefusedError        the request or the configuration is not acceptable to the server
└── ServerFaultError    the server tried and failed

try:
    answer = replica.predict(...)
except ServingError as error:
    ...  # error.address and the server's own words are in the message

gRPC's statuses become these errors here and nowhere else.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc


class ServingError(Exception):
    def __init__(self, address: str, told: str) -> None:
        super().__init__(f"{address}: {told}")
        self.address = address
        self.told = told


class UnreachableError(ServingError):
    pass


class ConnectionLostError(UnreachableError):
    pass


class NotServedError(ServingError):
    pass


class RefusedError(ServingError):
    pass


class ServerFaultError(ServingError):
    pass


_UNREACHABLE = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
# How the end of a process looks from outside. Unavailable is also a server that hangs, or a name without an address.
_ENDED = ("Connection refused", "Connection reset", "Socket closed")
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
    """Turn gRPC's errors into ours; the server's own words stay in the message."""
    try:
        yield
    except grpc.RpcError as error:
        raise _translate(address, error) from error


def _translate(address: str, error: grpc.RpcError) -> ServingError:
    code, details = error.code(), error.details() or "no details"
    if "failed to connect to all addresses" in details:
        details = f"no connection ({details.rpartition(': ')[2]})"  # gRPC says the address three times over
    told = f"{code.name}: {details}"
    if code is grpc.StatusCode.UNAVAILABLE and any(ended in details for ended in _ENDED):
        return ConnectionLostError(address, told)
    if code in _UNREACHABLE:
        return UnreachableError(address, told)
    # An unknown label is INVALID_ARGUMENT, an unknown version NOT_FOUND: the same thing to someone who asks again.
    if code is grpc.StatusCode.NOT_FOUND or "Unrecognized servable version label" in details:
        return NotServedError(address, told)
    if code in _REFUSED:
        return RefusedError(address, told)
    return ServerFaultError(address, told)
