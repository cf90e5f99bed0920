"""A gRPC client for one unary method and one request, cheap enough not to be what is measured.

gRPC's own client costs about half of what a small answer costs the server; on shared cores every ratio would then be
blurred by it. The same bytes go out each time, so that HTTP/2 comes down to two frames there and a few frames back.
"""

import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GO_AWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
ACK = END_STREAM = 0x1
END_HEADERS = 0x4
HEADER_TABLE_SIZE, ENABLE_PUSH, INITIAL_WINDOW_SIZE = 1, 2, 4
DEFAULT_WINDOW, LARGEST_WINDOW, LARGEST_FRAME = 65535, 2**31 - 1, 16384
CHUNK = 65536
OK = b"grpc-status\x010"


class Unary:
    """Each call is one request on the connection; raises ConnectionError when it is not answered with OK."""

    def __init__(self, connection: socket.socket, *, path: str, authority: str, body: bytes) -> None:
        message = struct.pack("!BI", 0, len(body)) + body
        assert len(message) <= LARGEST_FRAME, "requests of one frame only"
        self._connection = connection
        self._headers = _literals({":path": path, ":authority": authority})
        self._message = message
        self._received = bytearray()
        self._stream = -1
        self._window = DEFAULT_WINDOW
        # Without a table of headers seen before, the server spells every status out.
        settings = {HEADER_TABLE_SIZE: 0, ENABLE_PUSH: 0, INITIAL_WINDOW_SIZE: LARGEST_WINDOW}
        packed = b"".join(struct.pack("!HI", key, value) for key, value in settings.items())
        more = struct.pack("!I", LARGEST_WINDOW - DEFAULT_WINDOW)
        connection.sendall(PREFACE + _frame(SETTINGS, 0, 0, packed) + _frame(WINDOW_UPDATE, 0, 0, more))

    def __call__(self) -> bytes:
        while self._window < len(self._message):
            self._next_frame()
        self._window -= len(self._message)
        self._stream += 2
        self._connection.sendall(
            _frame(HEADERS, END_HEADERS, self._stream, self._headers)
            + _frame(DATA, END_STREAM, self._stream, self._message)
        )
        answer = b""
        while True:
            kind, flags, payload = self._next_frame()
            if kind == DATA:
                answer += payload
            elif kind == HEADERS and flags & END_STREAM:
                if OK not in payload:
                    raise ConnectionError(f"not OK: {payload!r}")
                return answer[5:]

    def _next_frame(self) -> tuple[int, int, bytes]:
        head = self._take(9)
        kind, flags = head[3], head[4]
        payload = self._take(int.from_bytes(head[:3]))
        if kind == SETTINGS and not flags & ACK:
            self._connection.sendall(_frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            self._connection.sendall(_frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE and not any(head[5:]):
            self._window += int.from_bytes(payload)
        elif kind in (RESET, GO_AWAY):
            raise ConnectionError(f"the server ended it: {payload!r}")
        return kind, flags, payload

    def _take(self, size: int) -> bytes:
        while len(self._received) < size:
            received = self._connection.recv(CHUNK)
            if not received:
                raise ConnectionError("the server hung up")
            self._received += received
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def _literals(fields: dict[str, str]) -> bytes:
    """Header fields as HPACK's literals that nobody need remember; names and values shorter than 127 bytes."""
    all_fields = {":method": "POST", ":scheme": "http"} | fields
    all_fields |= {"te": "trailers", "content-type": "application/grpc", "grpc-timeout": "30S"}
    return b"".join(
        b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in all_fields.items()
    )
