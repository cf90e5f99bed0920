"""A bucket and replicas that count what is done to them, and stop their process at the effect they were told."""

import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.storage.bucket import Bucket, Still
from pipeline.storage.sums import FileSum
from serving.apis import model_server_config_pb2
from serving.fleet.fleet import Fleet
from serving.fleet.pod import PodReplica
from serving.grpc_replica import GrpcReplica

# How Python calls what makes, renames or removes a file or a folder.
CHANGES = ("open", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir")

# What to do at the effect.
HOLD, KILL_BEFORE, KILL_AFTER = "hold", "kill-before", "kill-after"


class Effects:
    """Tells each effect on standard output before it happens, and its number.

    Args:
        stop: what to do at which effect, by its number or by a part of what is told of it: `kill-before:3`,
            `hold:copy serve/`. Nothing where it is empty.
    """

    def __init__(self, stop: str) -> None:
        self._how, _, self._at = stop.partition(":")
        self._count = 0

    @contextmanager
    def one(self, what: str) -> Iterator[None]:
        self._count += 1
        here = str(self._count) == self._at if self._at.isdigit() else self._at in what
        tell(f"effect {self._count} {what}")
        if here and self._how == KILL_BEFORE:
            die()
        if here and self._how == HOLD:
            tell("held")
            sys.stdin.readline()
        yield
        if here and self._how == KILL_AFTER:
            die()


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def count_changes_of_the_disk(root: str, effects: Effects) -> None:
    """From here on, each change of a file or a folder below `root` is an effect."""

    def see(event: str, values: tuple[Any, ...]) -> None:
        if event not in CHANGES or not str(values[0]).startswith(root):
            return
        reads = event == "open" and not values[2] & (os.O_WRONLY | os.O_RDWR)
        if reads or (event == "os.mkdir" and Path(values[0]).exists()):
            return
        with effects.one(f"{event} {values[0]}"):
            pass

    sys.addaudithook(see)


class StoppingBucket:
    """See `pipeline.storage.bucket.Bucket`; all is done by the bucket it was made of."""

    def __init__(self, bucket: Bucket, effects: Effects) -> None:
        self._bucket = bucket
        self._effects = effects

    def uri(self, key: str = "") -> str:
        return self._bucket.uri(key)

    def create(self, key: str, content: bytes) -> bool:
        with self._effects.one(f"create {key}"):
            return self._bucket.create(key, content)

    def replace(self, key: str, content: bytes, *, instead_of: bytes | None) -> bool:
        with self._effects.one(f"replace {key}"):
            return self._bucket.replace(key, content, instead_of=instead_of)

    def read(self, key: str) -> bytes:
        return self._bucket.read(key)

    def read_all(self, keys: Sequence[str]) -> list[bytes]:
        return self._bucket.read_all(keys)

    def names(self, key: str, *, after: str = "") -> list[str]:
        return self._bucket.names(key, after=after)

    def upload(self, source: Path, key: str) -> None:
        with self._effects.one(f"upload {key}"):
            self._bucket.upload(source, key)

    def local_copy(self, key: str) -> AbstractContextManager[Path]:
        return self._bucket.local_copy(key)

    def copy(self, source: str, key: str, *, expected: Mapping[str, FileSum], still: Still | None = None) -> bool:
        with self._effects.one(f"copy {key}"):
            return self._bucket.copy(source, key, expected=expected, still=still)

    def remove(self, key: str, *, still: Still | None = None) -> bool:
        with self._effects.one(f"remove {key}"):
            return self._bucket.remove(key, still=still)

    def delete(self, key: str) -> None:
        with self._effects.one(f"delete {key}"):
            self._bucket.delete(key)

    def tidy(self, *, older_than: datetime, dry_run: bool) -> list[str]:
        with self._effects.one("tidy"):
            return self._bucket.tidy(older_than=older_than, dry_run=dry_run)

    def sums(self, key: str) -> dict[str, FileSum]:
        return self._bucket.sums(key)

    def checksums(self, key: str) -> dict[str, str]:
        return self._bucket.checksums(key)


class StoppingFleet:
    """See `serving.fleet.Fleet`; to hand a configuration to a replica is an effect as well."""

    def __init__(self, fleet: Fleet, effects: Effects) -> None:
        self.expected = fleet.expected
        self.tls = fleet.tls
        self.first_ring: StoppingFleet | None = (
            StoppingFleet(fleet.first_ring, effects) if fleet.first_ring is not None else None
        )
        self._fleet = fleet
        self._effects = effects

    def addresses(self) -> Sequence[str]:
        return self._fleet.addresses()

    def fresh_addresses(self) -> Sequence[str]:
        return self._fleet.fresh_addresses()

    def pods(self) -> Mapping[str, PodReplica]:
        return self._fleet.pods()

    def shortfall(self, addresses: Sequence[str]) -> str:
        return self._fleet.shortfall(addresses)

    def connect(self, address: str, *, timeout: float) -> "StoppingReplica":
        return StoppingReplica(address, timeout=timeout, effects=self._effects)


class StoppingReplica(GrpcReplica):
    def __init__(self, address: str, *, timeout: float, effects: Effects) -> None:
        super().__init__(address, timeout=timeout)
        self._effects = effects

    def reload(self, config: model_server_config_pb2.ModelServerConfig) -> None:
        with self._effects.one(f"reload {self.address}"):
            super().reload(config)
