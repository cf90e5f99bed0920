"""`python -m serving.model_server --port=8500 --model_config_file=...`."""

import gc
import logging
import os
import signal
import sys
import threading

from serving.model_server.flags import FAILED, Flags, parse_flags
from serving.tensorflow.heap import prepare_heap

logger = logging.getLogger("serving.model_server")


def configure_logging() -> None:
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname).1s %(threadName)s: %(message)s"
    )
    # TensorFlow's own words only when something is wrong, unless the person who starts this asks for more.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


def serve(flags: Flags) -> int:
    """Serve until SIGTERM or SIGINT, and say with what status to end.

    Both signals are blocked in every thread and waited for here, so that nothing ever runs inside a signal handler;
    a start that fails comes out through the same door.
    """
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    # Here, so that bad flags are answered at once, and after the line above, because NumPy's threads inherit its mask.
    from serving.model_server.server import Server  # noqa: PLC0415
    from serving.status import StatusError  # noqa: PLC0415

    try:
        server = Server(flags)
    except StatusError as error:
        return failed(error)
    failures: list[Exception] = []

    def start() -> None:
        try:
            server.start()
            # What is in memory by now stays: a collection of all of it would stop every request for milliseconds.
            gc.freeze()
        except Exception as error:  # noqa: BLE001 - carried to the main thread, which reports it
            failures.append(error)
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=start, name="start", daemon=True).start()
    received = signal.sigwait(signals)
    if failures:
        return failed(failures[0])
    logger.info("%s: finishing what is in flight", signal.Signals(received).name)
    server.stop()
    logger.info("stopped")
    return 0


def failed(error: Exception) -> int:
    logger.error("Failed to start server. Error: %s", error)
    return FAILED


def main() -> None:
    flags = parse_flags(sys.argv[1:])
    configure_logging()
    prepare_heap()
    status = serve(flags)
    logging.shutdown()
    # A model that is still loading must not keep the process, nor TensorFlow's own tear-down hurt it.
    os._exit(status)


if __name__ == "__main__":
    main()
