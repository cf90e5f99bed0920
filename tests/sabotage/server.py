"""A model server of `tests.fleet` as a process of its own, to which a model can do what `Sabotage` says.

    python -m tests.sabotage.server PORT ROLLOUT SOURCE POLL_SECONDS

SOURCE is a config, or in the latest roll-out a base path. The path of the first ring contains `first_ring`.
"""

import json
import logging
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from serving.model_server.flags import Flags, parse_flags
from serving.model_server.lifecycle.servable import ServableId
from serving.model_server.server import Server
from serving.server_flags import BasePathSource, ConfigSource, Source, replica_flags
from serving.wire import Array
from tests.fleet import Classifier

# What a process may take beyond what it has.
_MEMORY_BYTES = 256 * 2**20
_PIECE_BYTES = 16 * 2**20


class Saboteur(Classifier):
    """A classifier that does harm at one of its requests."""

    def __init__(self, harm: Mapping[str, Any], **settings: Any) -> None:
        super().__init__(**settings)
        self._harm = harm
        self._requests = 0
        self._lock = threading.Lock()

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], *, timeout_seconds: float | None = None
    ) -> list[Array]:
        with self._lock:
            self._requests += 1
            if self._requests == self._harm["request"]:
                do(self._harm)
        return super().run(feeds, fetches, timeout_seconds=timeout_seconds)


def do(harm: Mapping[str, Any]) -> None:
    how = harm["how"]
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif how == "abort":
        take_all_memory()
    elif how == "hang":
        threading.Event().wait()
    else:
        time.sleep(harm["seconds"])


def take_all_memory() -> None:
    """Allocate up to a limit, and end as a server in C++ does when an allocation fails."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (size + _MEMORY_BYTES, size + _MEMORY_BYTES))
    taken = []
    try:
        while True:
            taken.append(bytearray(_PIECE_BYTES))
    except MemoryError:
        os.abort()


def load(_: ServableId, path: str, *, first_ring: bool) -> Classifier:
    """What the server calls to load a version."""
    settings = json.loads(Path(path, "classifier.json").read_text())
    harm = settings.pop("sabotage", None)
    time.sleep(settings.pop("load_seconds", 0.0))
    if harm is None or (first_ring and harm["spares_first_ring"]):
        return Classifier(**settings)
    if not harm["request"]:
        do(harm)
    return Saboteur(harm, **settings)


def flags_of(port: int, rollout: str, source: str, poll_seconds: float) -> Flags:
    base_path = BasePathSource(model=source.rsplit("/", 1)[-1], uri=source)
    polled: Source = ConfigSource(uri=source) if rollout == "pinned" else base_path
    often = cast("int", poll_seconds)  # whole seconds are all a command line can say
    return replace(
        parse_flags(replica_flags(polled, port=port)),
        host="127.0.0.1",
        model_config_file_poll_wait_seconds=often,
        file_system_poll_wait_seconds=often,
    )


def main(port: str, rollout: str, source: str, poll_seconds: str) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    first_ring = "/first_ring/" in source
    flags = flags_of(int(port), rollout, source, float(poll_seconds))
    server = Server(flags, partial(load, first_ring=first_ring))
    server.start()
    parent = os.getppid()
    while os.getppid() == parent:  # a test that is killed leaves no server
        time.sleep(1.0)


if __name__ == "__main__":
    main(*sys.argv[1:])
