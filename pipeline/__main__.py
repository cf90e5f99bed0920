"""`python -m pipeline VERB`: parse, log, run one verb, turn its outcome into an exit code."""

import logging
import os
import sys

from pipeline import result
from pipeline.cli import app
from pipeline.errors import UnderstudyError


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # one line per request says nothing to a person on call
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's start-up chatter; its warnings stay
    try:
        app()
    except UnderstudyError as error:
        logging.getLogger("pipeline").error("%s", error)
        result.leave({"outcome": error.outcome, "reason": str(error)}, unless_there=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
