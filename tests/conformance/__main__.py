"""Compare a running model server with what this project states about TensorFlow Serving.

    python -m tests.conformance --server 127.0.0.1:8500 --rest 127.0.0.1:8501 --models /models
    python -m tests.conformance --models /models --command 'docker run ...'

Without either it prints the commands with which the official image is started. docs/conformance.md has every fact.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.conformance import embedded
from tests.conformance.facts import FACTS, NotRunError
from tests.conformance.images import shown_commands
from tests.conformance.launcher import Launcher
from tests.conformance.report import write_json, write_line, write_summary
from tests.conformance.running import Outcome, chosen, results, targets
from tests.conformance.server import Folder

_NOTHING_CHECKED = 2


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance", description=(__doc__ or "").splitlines()[0], allow_abbrev=False
    )
    parser.add_argument("--server", default="", help="host:port of gRPC of a server that runs with the flags shown")
    parser.add_argument("--rest", default="", help="host:port of its REST API")
    parser.add_argument(
        "--command", default="", help="starts a server; {port} and {rest_port} are replaced, flags are appended"
    )
    parser.add_argument("--folder", type=Path, default=Path("var/conformance"), help="where the checks write models")
    parser.add_argument("--models", default="", help="the same folder as the servers see it (default: the folder)")
    parser.add_argument("--only", action="append", default=[], choices=sorted(FACTS), metavar="FACT")
    parser.add_argument("--json", type=Path, help="keep the results in this file")
    parser.add_argument(
        "--embedded", action="store_true", help="check the embedded server; differences on purpose are no failures"
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """0 if no fact differs, 1 if one does, 2 if nothing was checked."""
    options = parse(arguments)
    folder = options.folder.resolve()
    there = options.models or str(folder)
    command = embedded.COMMAND if options.embedded else options.command
    if not options.server and not command:
        Folder(folder / "server", f"{there}/server").prepare()
        sys.stdout.write(shown_commands(folder))
        return _NOTHING_CHECKED
    try:
        with targets(folder=folder, there=there, server=options.server, rest=options.rest, command=command) as found:
            server = _name(options.server, found.launcher)
            ended = []
            declared = embedded.DIFFERENCES if options.embedded else ()
            for result in results(found, chosen(options.only), declared=declared):
                write_line(sys.stdout, result)
                ended.append(result)
    except NotRunError as error:
        sys.stderr.write(f"{error}\n")
        return _NOTHING_CHECKED
    write_summary(sys.stdout, ended, server=server)
    if options.json:
        write_json(options.json, ended, server=server)
    return 1 if any(result.outcome is Outcome.DIFFERS for result in ended) else 0


def _name(address: str, launcher: Launcher | None) -> str:
    """What was checked, with its version where it can be asked for: no request tells it."""
    if launcher is None:
        return f"{address}, version unknown"
    _, text = launcher.outcome("--version", ports=False)
    lines = [line for line in text.splitlines() if line.startswith("TensorFlow")]
    return ", ".join([*([address] if address else []), *lines]) or "version unknown"


if __name__ == "__main__":
    # Models are written with TensorFlow's library, and what it logs about that is no part of the report.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.exit(main(sys.argv[1:]))
