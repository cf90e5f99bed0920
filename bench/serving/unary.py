"""A gRPC client for one unary method and prepared requests, cheap enough not to be what is measured.

gRPC's own client costs about half of what a small answer costs the server; on shared cores every ratio would then be
blurred by it. The same bytes go out each time, so that HTTP/2 comes down to two frames there and a few frames back.
"""

import itertools
import socket
import struct
from collections.abc import Sequence

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GO_AWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
ACK = END_STREAM = 0x1
END_HEADERS = 0x4
HEADER_TABLE_SIZE, ENABLE_PUSH, INITIAL_WINDOW_SIZE = 1, 2, 4
DEFAULT_WINDOW, LARGEST_WINDOW, LARGEST_FRAME = 65535, 2**31 - 1, 16384
CHUNK = 65536
OK = b"grpc-status\x010"


class Unary:
    """Each call is one of the requests, in turn; raises ConnectionError when it is not answered with OK."""

    def __init__(self, connection: socket.socket, *, path: str, authority: str, bodies: Sequence[bytes]) -> None:
        self._connection = connection
        self._headers = _literals({":path": path, ":authority": authority})
        self._messages = itertools.cycle([struct.pack("!BI", 0, len(body)) + body for body in bodies])
        self._received = bytearray()
        self._stream = -1
        # What may still be sent: on the connection, on the stream of this request, and on each new stream.
        self._window = self._stream_window = self._initial_window = DEFAULT_WINDOW
        # Without a table of headers seen before, the server spells every status out.
        settings = {HEADER_TABLE_SIZE: 0, ENABLE_PUSH: 0, INITIAL_WINDOW_SIZE: LARGEST_WINDOW}
        packed = b"".join(struct.pack("!HI", key, value) for key, value in settings.items())
        more = struct.pack("!I", LARGEST_WINDOW - DEFAULT_WINDOW)
        connection.sendall(PREFACE + _frame(SETTINGS, 0, 0, packed) + _frame(WINDOW_UPDATE, 0, 0, more))

    def __call__(self) -> bytes:
        self._stream += 2
        self._stream_window = self._initial_window
        self._send(next(self._messages))
        answer = b""
        while True:
            kind, flags, payload = self._next_frame()
            if kind == DATA:
                answer += payload
            elif kind == HEADERS and flags & END_STREAM:
                if OK not in payload:
                    raise ConnectionError(f"not OK: {payload!r}")
                return answer[5:]

    def _send(self, message: bytes) -> None:
        """All that the windows allow at once, and the rest when the server has read that."""
        frames, sent = [_frame(HEADERS, END_HEADERS, self._stream, self._headers)], 0
        while sent < len(message):
            size = min(len(message) - sent, self._window, self._stream_window, LARGEST_FRAME)
            if size <= 0:
                self._connection.sendall(b"".join(frames))
                frames.clear()
                if self._next_frame()[0] == HEADERS:
                    raise ConnectionError("the server answered before it had the whole request")
                continue
            last = END_STREAM if sent + size == len(message) else 0
            frames.append(_frame(DATA, last, self._stream, message[sent : sent + size]))
            self._window -= size
            self._stream_window -= size
            sent += size
        self._connection.sendall(b"".join(frames))

    def _next_frame(self) -> tuple[int, int, bytes]:
        head = self._take(9)
        kind, flags = head[3], head[4]
        payload = self._take(int.from_bytes(head[:3]))
        if kind == SETTINGS and not flags & ACK:
            self._settle(payload)
            self._connection.sendall(_frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            self._connection.sendall(_frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE:
            self._widen(int.from_bytes(head[5:]), int.from_bytes(payload))
        elif kind in (RESET, GO_AWAY):
            raise ConnectionError(f"the server ended it: {payload!r}")
        return kind, flags, payload

    def _settle(self, payload: bytes) -> None:
        for key, value in struct.iter_unpack("!HI", payload):
            if key == INITIAL_WINDOW_SIZE:
                self._stream_window += value - self._initial_window
                self._initial_window = value

    def _widen(self, stream: int, size: int) -> None:
        if stream == 0:
            self._window += size
        elif stream == self._stream:
            self._stream_window += size

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
