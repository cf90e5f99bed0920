"""A model server of `tests.fleet` as a process of its own, which a model can kill.

    python -m tests.processes.deadly_server PORT CONFIG

A classifier whose settings hold `kills` ends it with SIGKILL while it is loaded, as the system does to a process that
takes too much memory.
"""

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import cast

from serving.model_server.flags import parse_flags
from serving.model_server.lifecycle.servable import ServableId
from serving.model_server.server import Server
from serving.server_flags import ConfigSource, replica_flags
from tests.fleet import POLL_SECONDS, Classifier, load


def load_or_die(servable_id: ServableId, path: str) -> Classifier:
    if "kills" in json.loads(Path(path, "classifier.json").read_text()):
        os.kill(os.getpid(), signal.SIGKILL)
    return load(servable_id, path)


if __name__ == "__main__":
    port, config = sys.argv[1:]
    flags = parse_flags(replica_flags(ConfigSource(uri=config), port=int(port)))
    often = cast("int", POLL_SECONDS)  # whole seconds are all a command line can say
    server = Server(
        replace(flags, model_config_file_poll_wait_seconds=often, file_system_poll_wait_seconds=often), load_or_die
    )
    server.start()
    signal.pause()
