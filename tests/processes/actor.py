"""A program: the command line itself, with ports that stop it where a test says so.

    python -m tests.processes.actor VERB --model NAME --run KEY ...

The variable ACTOR_STOP says where (see `tests.processes.stopping`), and ACTOR_DISK that the effects are the changes of
files and folders of a local bucket. On standard output it tells when it begins, each
effect, and, if it comes to its end, which of the libraries that nobody should wait for it has loaded.
"""

import os
import sys
from dataclasses import replace

from pipeline import context
from pipeline.__main__ import main
from pipeline.context import Ports
from pipeline.fleets.known_fleet import fleet_of_environment
from pipeline.settings import Settings
from tests.processes.stopping import Effects, StoppingBucket, StoppingFleet, count_changes_of_the_disk, tell

# The journals of these tests are short.
CHECKPOINT_EVERY = 2
HEAVY = ("tensorflow", "mlflow", "google.cloud.storage")

_open_real_ports = context.open_ports


def open_ports(settings: Settings) -> Ports:
    effects = Effects(os.environ.get("ACTOR_STOP", ""))
    ports = replace(_open_real_ports(settings), checkpoint_every=CHECKPOINT_EVERY)
    if "ACTOR_DISK" in os.environ:
        count_changes_of_the_disk(settings.root, effects)
        return ports
    fleet = fleet_of_environment(settings).connect_with(settings)
    return replace(ports, bucket=StoppingBucket(ports.bucket, effects), fleet=StoppingFleet(fleet, effects))


def act() -> int:
    """The exit code of the verb that the command line names."""
    context.open_ports = open_ports
    tell("ready")
    try:
        return main()
    finally:
        tell(f"loaded {' '.join(name for name in HEAVY if name in sys.modules)}")


if __name__ == "__main__":
    sys.exit(act())
