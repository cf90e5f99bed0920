"""A program for the tests: the embedded model server with classifiers that need no TensorFlow, see tests/fleet.py."""

import signal
import sys

from serving.model_server.flags import parse_flags
from serving.model_server.server import Server
from serving.status import StatusError
from tests.fleet import load


def main() -> int:
    stopping = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
    try:
        server = Server(parse_flags(sys.argv[1:]), load)
        server.start()
    except StatusError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    signal.sigwait(stopping)
    server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
