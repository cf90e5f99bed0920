"""The command `understudy VERB`, also `python -m pipeline VERB`: parse, log, run one verb, return its exit code."""

import logging
import os
import sys
import tempfile
import traceback

from pipeline import result
from pipeline.errors import ExitCode, UnderstudyError

NAME = "understudy"

# A module of these that cannot be found is a defect, and no package that the set-up would install.
_OURS = ("pipeline", "serving", "embedded")

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
    except SystemExit as ended:
        _leave_usage_error(ended)
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, a user gets a sentence and no traceback
        if _is_missing_package(error):
            return _failed(f"a package is missing: {error}. Run `make setup` in the folder of the project")
        what = f"{type(error).__name__}: {error}"
        return _failed(f"this is a defect of Understudy: {what}. Report it {_keep_traceback()}")
    return ExitCode.DONE


def _failed(message: str, *, code: ExitCode = ExitCode.FAILED, outcome: str = "failed") -> int:
    log.error("%s", message)
    result.write({"outcome": outcome, "reason": message}, unless_there=True)
    return code


def _leave_usage_error(ended: SystemExit) -> None:
    """Leave a result for a wrong command line. Typer has printed the error and exits while it handles that error."""
    reason = getattr(ended.__context__, "format_message", None)  # only usage errors have it
    if ended.code and reason is not None:
        result.write({"outcome": "failed", "reason": reason()}, unless_there=True)


def _is_missing_package(error: Exception) -> bool:
    """Whether a package outside the project is not installed. Any other import error is a defect."""
    return isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] not in _OURS


def _keep_traceback() -> str:
    """Write the traceback of the error that is being handled to a file; say with which, or why there is none."""
    text = traceback.format_exc()
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix=f"{NAME}-", suffix=".log", encoding="utf-8", errors="backslashreplace", delete=False
        ) as file:
            file.write(text)
    except OSError as problem:  # a full disk, or no folder that can be written
        log.debug("%s", text)
        return f"with this line; its traceback cannot be written to a file: {problem}"
    return f"with the file {file.name}"


if __name__ == "__main__":
    sys.exit(main())
