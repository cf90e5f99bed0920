"""A program for the tests: verbs of one run, by the code of the command line, in one process."""

import sys

from pipeline.cli import app
from pipeline.errors import UnderstudyError


def main(model: str, run_key: str, *verbs: str) -> int:
    for verb in verbs:
        try:
            app([verb, "--model", model, "--run", run_key], standalone_mode=False)
        except UnderstudyError as error:
            sys.stderr.write(f"{verb}: {error}\n")
            return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
