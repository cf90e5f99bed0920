"""A world whose replicas cannot read the bucket: `sync` copies what they should find into a folder that they can."""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pipeline import layout
from pipeline.errors import StorageError
from pipeline.verbs.sync import sync
from tests.fleet import POLL_SECONDS, RunningReplica
from tests.releases import MODEL, World


@dataclass
class SyncedWorld(World):
    _stopping: threading.Event = field(default_factory=threading.Event)
    _syncing: threading.Thread | None = None

    @property
    def folder_of_servers(self) -> Path:
        return self.folder / "seen by servers"

    def start(self, count: int = 2) -> None:
        self.extra["server_root"] = str(self.folder_of_servers)
        self._syncing = threading.Thread(target=self._sync, name="sync", daemon=True)
        self._syncing.start()
        super().start(count)

    def stop(self) -> None:
        super().stop()
        self._stopping.set()
        if self._syncing is not None:
            self._syncing.join()

    def replica(self, *, default_flags: bool = False, first_ring: bool = False) -> RunningReplica:
        if self.rollout == "latest":
            return RunningReplica(base_path=self.folder_of_servers / layout.versions(MODEL), restarting=True)
        return RunningReplica(self.synced_config())

    def synced_config(self) -> Path:
        """The path of the config in the folder, when it is there: a server that is started without one gives up."""
        path = self.folder_of_servers / layout.config(MODEL)
        deadline = time.monotonic() + 10
        while not path.exists():
            assert time.monotonic() < deadline, "the config was not copied"
            time.sleep(0.02)
        return path

    def _sync(self) -> None:
        bucket = self.context("sync-0").bucket
        while not self._stopping.wait(POLL_SECONDS):
            # Before the first config there is nothing to copy.
            with suppress(StorageError):
                sync(bucket, MODEL, self.folder_of_servers)
