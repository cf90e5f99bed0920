"""The command `understudy VERB`, also `python -m pipeline VERB`: parse, log, run one verb, return its exit code."""

import logging
import os
import sys
import tempfile
import traceback

from pipeline import result
from pipeline.errors import ExitCode, UnderstudyError

NAME = "understudy"

log = logging.getLogger("pipeline")


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # one line per request says nothing to a person on call
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's start-up chatter; its warnings stay
    try:
        from pipeline.cli import app  # noqa: PLC0415 - an environment without its packages gets a sentence as well

        app(prog_name=NAME)
    except UnderstudyError as error:
        return _failed(str(error), code=error.exit_code, outcome=error.outcome)
    except ImportError as error:
        return _failed(f"a package is missing: {error}. Run `make setup` in the folder of the project")
    except Exception as error:  # noqa: BLE001 - whatever it is, a user gets a sentence and no traceback
        what = f"{type(error).__name__}: {error}"
        return _failed(f"this is a defect of Understudy: {what}. Report it with the file {_keep_traceback()}")
    return ExitCode.DONE


def _failed(message: str, *, code: ExitCode = ExitCode.FAILED, outcome: str = "failed") -> int:
    log.error("%s", message)
    result.write({"outcome": outcome, "reason": message}, unless_there=True)
    return code


def _keep_traceback() -> str:
    """Write the traceback of the error that is being handled to a file; the path of it."""
    with tempfile.NamedTemporaryFile("w", prefix=f"{NAME}-", suffix=".log", encoding="utf-8", delete=False) as file:
        traceback.print_exc(file=file)
    return file.name


if __name__ == "__main__":
    sys.exit(main())
