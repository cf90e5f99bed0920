"""A program: an S3 store that keeps everything in memory, moto's, on a port of its own.

    python -m tests.pipeline.storage.s3_server PORT

It answers one request at a time: moto looks whether a condition holds and writes afterwards, and what comes in between
would not be seen. Amazon does both at once.
"""

import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server


def main() -> None:
    moto = DomainDispatcherApplication(create_backend_app)
    one_at_a_time = threading.Lock()

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with one_at_a_time:
            return list(moto(environ, start_response))

    make_server("127.0.0.1", int(sys.argv[1]), answer, threaded=True).serve_forever()


if __name__ == "__main__":
    main()
