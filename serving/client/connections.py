"""The connections of a client, one for each replica; each is closed when its last request is done. No input or output.

`Connection` is a type of the caller, who also opens and closes: so this is the same for threads and for asyncio.
"""

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

Connection = TypeVar("Connection")


class Event(Protocol):
    """`threading.Event` or `asyncio.Event`."""

    def set(self) -> None: ...


@dataclass(eq=False)
class Loan(Generic[Connection]):
    """A connection to one replica, and how many requests use it."""

    address: str
    connection: Connection
    requests: int = 0
    retired: bool = False


class Connections(Generic[Connection]):
    """Opens a connection to a replica when it is asked for the first time. Safe to use from several threads.

    Methods that return connections return those that the caller must close now.

    Args:
        open_one: a new connection to `host:port`; it must not wait for anything.
        idle: set when `close` was called and the last request is done.
    """

    def __init__(self, open_one: Callable[[str], Connection], idle: Event) -> None:
        self._open_one = open_one
        self._idle = idle
        self._loans: dict[str, Loan[Connection]] = {}
        self._listed: Collection[str] = ()
        self._requests = 0
        self._closed = False
        self._lock = threading.Lock()

    def check_open(self) -> None:
        """Raise a RuntimeError if `close` was called."""
        if self._closed:
            raise RuntimeError("the client is closed; make a new one")

    def borrow(self, address: str) -> Loan[Connection]:
        """The connection for a request; give it back with `give_back`.

        Raises:
            RuntimeError: `close` was called.
        """
        with self._lock:
            self.check_open()
            loan = self._loans.get(address)
            if loan is None:
                # The address may have been removed from the list since it was picked.
                loan = Loan(address, self._open_one(address), retired=address not in self._listed)
                if not loan.retired:
                    self._loans[address] = loan
            loan.requests += 1
            self._requests += 1
            return loan

    def give_back(self, loan: Loan[Connection], *, broken: bool) -> list[Connection]:
        """End a request. The next request to that replica gets a new connection if this one is broken."""
        with self._lock:
            loan.requests -= 1
            self._requests -= 1
            unused = self._retire(loan) if broken else self._unused(loan)
            if self._closed and not self._requests:
                self._idle.set()
            return unused

    def keep(self, addresses: Collection[str]) -> list[Connection]:
        """Only these replicas are listed. Connections to others end with their requests."""
        with self._lock:
            self._listed = addresses
            gone = [loan for address, loan in self._loans.items() if address not in addresses]
            return [each for loan in gone for each in self._retire(loan)]

    def close(self) -> list[Connection]:
        """All connections end with their requests, and no request can begin."""
        with self._lock:
            self._closed = True
            if not self._requests:
                self._idle.set()
            return [each for loan in list(self._loans.values()) for each in self._retire(loan)]

    def _retire(self, loan: Loan[Connection]) -> list[Connection]:
        loan.retired = True
        if self._loans.get(loan.address) is loan:
            del self._loans[loan.address]
        return self._unused(loan)

    @staticmethod
    def _unused(loan: Loan[Connection]) -> list[Connection]:
        return [loan.connection] if loan.retired and not loan.requests else []
