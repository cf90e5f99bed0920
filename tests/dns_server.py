"""A DNS server for tests and for trying `dns://` on one machine; its table may change while it runs.

python -m tests.dns_server --port 5353 digits=127.0.0.1,127.0.0.2
"""

import argparse
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from types import TracebackType
from typing import Self

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.ports import free_port

HOST = "127.0.0.1"
# Of a datagram, for clients that do not say how much they take (RFC 1035).
_DATAGRAM_BYTES = 512


class DnsServer:
    """Answers over UDP and TCP on 127.0.0.1, with an address family per question as real servers do.

    Attributes:
        table: the addresses by name. A name that is not in it does not exist; one without addresses has no records.
        failing: answer every question with SERVFAIL.
        silent: answer no question.
        seconds: how long every answer takes.
        asked: the questions so far: transport, name, type.
    """

    def __init__(self, table: Mapping[str, tuple[str, ...]], *, port: int | None = None) -> None:
        self.table = dict(table)
        self.failing = False
        self.silent = False
        self.seconds = 0.0
        self.asked: list[tuple[str, str, str]] = []
        self.port = free_port() if port is None else port
        self._servers: list[socketserver.BaseServer] = [
            _Datagrams((HOST, self.port), _datagram_handler(self)),
            _Connections((HOST, self.port), _connection_handler(self)),
        ]

    def __enter__(self) -> Self:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=[0.01], name="dns", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def uri(self, name: str, port: int) -> str:
        """The source of replicas that asks this server for `name`."""
        return f"dns://{HOST}:{self.port}/{name}:{port}"

    def answer(self, request: bytes, transport: str) -> bytes | None:
        """The answer to a message; None for none."""
        query = dns.message.from_wire(request)
        (question,) = query.question
        name = question.name.to_text(omit_final_dot=True)
        self.asked.append((transport, name, dns.rdatatype.to_text(question.rdtype)))
        time.sleep(self.seconds)
        if self.silent:
            return None
        response = dns.message.make_response(query, recursion_available=True)
        if self.failing:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif name not in self.table:
            response.set_rcode(dns.rcode.NXDOMAIN)
        elif records := _of_type(question.rdtype, self.table[name]):
            response.answer.append(dns.rrset.from_text_list(question.name, 5, "IN", question.rdtype, records))
        most = 65_535 if transport == "TCP" else max(query.payload, _DATAGRAM_BYTES)
        return response.to_wire(max_size=most, prefer_truncation=True)


def _of_type(kind: dns.rdatatype.RdataType, addresses: tuple[str, ...]) -> list[str]:
    version = {dns.rdatatype.A: 4, dns.rdatatype.AAAA: 6}.get(kind)
    return [each for each in addresses if ip_address(each).version == version]


class _Datagrams(socketserver.ThreadingUDPServer):
    allow_reuse_address = True
    daemon_threads = True


class _Connections(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def _datagram_handler(owner: DnsServer) -> type[socketserver.BaseRequestHandler]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, answers = self.request
            answer = owner.answer(data, "UDP")
            # Nobody may wait for it any more, or the server was stopped meanwhile.
            with suppress(OSError):
                if answer is not None:
                    answers.sendto(answer, self.client_address)

    return Handler


def _connection_handler(owner: DnsServer) -> type[socketserver.BaseRequestHandler]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError, struct.error):
                (size,) = struct.unpack("!H", self._read(2))
                answer = owner.answer(self._read(size), "TCP")
                if answer is not None:
                    self.request.sendall(struct.pack("!H", len(answer)) + answer)

        def _read(self, size: int) -> bytes:
            connection: socket.socket = self.request
            return connection.recv(size, socket.MSG_WAITALL)

    return Handler


def _entry(text: str) -> tuple[str, tuple[str, ...]]:
    name, _, addresses = text.partition("=")
    found = tuple(filter(None, addresses.split(",")))
    for each in found:
        ip_address(each)
    return name, found


def main() -> None:
    parser = argparse.ArgumentParser(description="Answer DNS questions from a table, on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=5353)
    parser.add_argument("entries", nargs="+", type=_entry, metavar="name=address,address")
    words = parser.parse_args()
    with suppress(KeyboardInterrupt), DnsServer(dict(words.entries), port=words.port):
        threading.Event().wait()


if __name__ == "__main__":
    main()
