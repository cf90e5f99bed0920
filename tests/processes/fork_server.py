"""A program that has imported the verbs once, and forks a process for each that a test starts.

    python -m tests.processes.fork_server

It says the path of its socket on standard output, and ends when its standard input does.

A fresh interpreter spends half a second on its imports before the verb begins, and the tests start some eight hundred.
What is forked is a process of its own all the same: it has its own memory, reads its own environment, and dies of
SIGKILL. `tests/processes/test_fork_server.py` holds it to a fresh interpreter.

For each connection: the client sends a `Request` with the three standard streams; the server answers a line with the
process's number, and another with its exit code as `subprocess` counts it. The process is not reaped before the client
hangs up, so until then its number belongs to nobody else.
"""

import importlib
import json
import os
import pkgutil
import resource
import select
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from pipeline import verbs
from tests.processes import actor
from tests.processes.fork_request import DIGITS, STREAMS, Request
from tests.processes.stopping import tell


def serve() -> NoReturn:
    """Fork a keeper for each connection: it forks the verb, waits for it, and answers the client."""
    # The command line imports a verb only when it runs.
    for module in pkgutil.iter_modules(verbs.__path__, "pipeline.verbs."):
        importlib.import_module(module.name)
    # Not a context manager: what is forked here unwinds this stack at its end as well.
    folder = tempfile.mkdtemp()
    path = str(Path(folder, "socket"))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps keepers, so they do not become zombies
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        tell(path)
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in ready:
                # Whoever started this is gone, however it ended.
                shutil.rmtree(folder)
                sys.exit()
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
    try:
        connection.sendall(f"{process}\n".encode())
        ended = os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        connection.sendall(f"{code}\n".encode())
        connection.recv(1)
    except ConnectionError:
        os.kill(process, signal.SIGKILL)  # the client has closed the connection
    os.waitpid(process, 0)
    os._exit(0)


def _received(connection: socket.socket) -> tuple[Request, list[int]]:
    size, streams, _, _ = socket.recv_fds(connection, DIGITS, STREAMS)
    with connection.makefile("rb") as incoming:
        fields = json.loads(incoming.read(int(size)))
    return Request(tuple(fields["arguments"]), fields["environment"], fields["largest_file"]), streams


def _become(request: Request, streams: list[int]) -> NoReturn:
    """Be the process that was asked for, from here to its end, which is that of any interpreter."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request.environment)
    if request.largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request.largest_file, request.largest_file))
    sys.argv = [actor.__name__, *request.arguments]
    sys.exit(actor.act())


if __name__ == "__main__":
    serve()
