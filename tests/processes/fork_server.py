"""A program that has imported the verbs once, and forks a process for each that a test starts.

    python -m tests.processes.fork_server SOCKET

A fresh interpreter spends half a second on its imports before the verb begins, and the tests start some eight hundred.
What is forked is a process of its own all the same: it has its own memory, reads its own environment, and dies of
SIGKILL. `tests/processes/test_fork_server.py` holds it to a fresh interpreter.

For each connection: the client sends a `Request` with the three standard streams; the server answers a line with the
process's number, and another with its exit code as `subprocess` counts it. The process is not reaped before the client
hangs up, so until then its number belongs to nobody else.
"""

import json
import os
import resource
import signal
import socket
import sys
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import NoReturn

from tests.processes import actor
from tests.processes.stopping import tell

READY = "ready"
_STREAMS = 3
_DIGITS = 8


@dataclass(frozen=True)
class Request:
    """What to run.

    Attributes:
        words: the verb and its options.
        environment: all of it.
        largest_file: the most bytes a file may have, as at the end of a disk; None for no limit.
    """

    words: tuple[str, ...]
    environment: dict[str, str]
    largest_file: int | None = None

    def send(self, connection: socket.socket, streams: list[int]) -> None:
        content = json.dumps(asdict(self)).encode()
        socket.send_fds(connection, [f"{len(content):0{_DIGITS}d}".encode()], streams)
        connection.sendall(content)


def serve(path: str) -> NoReturn:
    """Fork a keeper for each connection; it forks the process, and stays until the client hangs up."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # a keeper leaves nothing to be waited for
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        tell(READY)
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _keep(connection)
            connection.close()


def _keep(connection: socket.socket) -> NoReturn:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request, streams = _received(connection)
    process = os.fork()
    if process == 0:
        connection.close()
        _become(request, streams)
    for stream in streams:
        os.close(stream)
    with suppress(BrokenPipeError):  # the client may have lost interest
        connection.sendall(f"{process}\n".encode())
        ended = os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        connection.sendall(f"{code}\n".encode())
        connection.recv(1)
    os._exit(0)


def _received(connection: socket.socket) -> tuple[Request, list[int]]:
    size, streams, _, _ = socket.recv_fds(connection, _DIGITS, _STREAMS)
    with connection.makefile("rb") as incoming:
        fields = json.loads(incoming.read(int(size)))
    return Request(tuple(fields["words"]), fields["environment"], fields["largest_file"]), streams


def _become(request: Request, streams: list[int]) -> NoReturn:
    """Be the process that was asked for, from here to its end."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request.environment)
    if request.largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request.largest_file, request.largest_file))
    sys.argv = [actor.__name__, *request.words]
    code = 1
    try:
        code = actor.act()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - as an interpreter ends whatever happens
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
