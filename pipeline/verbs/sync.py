"""Copy what servers should find into a folder of this machine, for servers that cannot read the bucket.

A version comes before the config that names it, and goes after it. A version appears and goes by a rename, so no server
loads half of one.
"""

import logging
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from pipeline import layout
from pipeline.commands import with_model
from pipeline.deployment import Deployment
from pipeline.errors import BadInputError, MissingError, StorageError
from pipeline.rollout import config
from pipeline.storage.bucket import Bucket
from pipeline.storage.sums import MARK
from pipeline.stored import newer_version

log = logging.getLogger(__name__)

_OF_THE_RING = " of the first ring"


def server_folder(fleet: Deployment) -> Path:
    """The folder of this machine that servers read.

    Raises:
        BadInputError: the fleet names none.
    """
    if fleet.server_root is None or "://" in fleet.server_root:
        raise BadInputError(
            "the fleet has no folder that `sync` could keep. Name the folder that the model servers read: `understudy "
            "fleet set --model <model> --server-root /srv/understudy --reason why`. Without a fleet record, set "
            "UNDERSTUDY_SERVER_ROOT, here and for every other verb: the config names it"
        )
    return Path(fleet.server_root)


def sync(bucket: Bucket, model: str, root: Path) -> list[str]:
    """Make the folder agree with the bucket as it is now; what was changed. One process at a time may do this.

    A fleet with a first ring has a second config, and in the latest roll-out a second folder of versions.

    Raises:
        MissingError: there is no config of the model, or a version that it names is gone; the next call sees why.
        NewerVersionError: a newer version wrote a config. What was there is still there.
        StorageError: the bucket gave no answer, or the folder cannot be written. What was there is still there.
    """
    configs = _configs(bucket, model)
    wanted = _wanted(bucket, model, configs)
    try:
        present = {folder: _present(root / folder) for folder in wanted}
        changed = [
            _added(bucket, root, folder, version)
            for folder in wanted
            for version in sorted(wanted[folder] - present[folder])
        ]
        for key, content in configs.items():
            changed += _replaced(root / key, content)
        changed += [
            _removed(root, folder, version) for folder in wanted for version in sorted(present[folder] - wanted[folder])
        ]
    except OSError as error:
        raise StorageError(f"cannot write {error.filename or root}: {error.strerror or error}") from error
    return changed


def keep_in_sync(bucket: Bucket, model: str, root: Path, *, seconds: float) -> NoReturn:
    """Do so every so many seconds, for ever. While the bucket does not answer the folder stays as it is."""
    problem = ""
    while True:
        try:
            changed = sync(bucket, model, root)
            if changed:
                log.info("%s: %s", root, ", ".join(changed))
            problem = ""
        except StorageError as error:
            message = with_model(str(error), model)
            if message != problem:
                problem = message
                log.warning("%s. Servers keep what they have. The next try is in %g s", message, seconds)
        time.sleep(seconds)


def _configs(bucket: Bucket, model: str) -> Mapping[str, bytes]:
    """The configs of the model by their keys, that of the first ring first, if there is one."""
    found: dict[str, bytes] = {}
    with suppress(MissingError):
        found[layout.first_ring_config(model)] = bucket.read(layout.first_ring_config(model))
    found[layout.config(model)] = bucket.read(layout.config(model))
    for key, content in found.items():
        unknown = config.unknown_format(content.decode(errors="replace"))
        if unknown is not None:
            raise newer_version(key, f"its first line says {unknown!r}")
    return found


def _wanted(bucket: Bucket, model: str, configs: Mapping[str, bytes]) -> Mapping[str, frozenset[int]]:
    """The versions that servers should find, by their folder: those the configs name, or all that are complete."""
    texts = [content.decode(errors="replace") for content in configs.values()]
    if config.rollout_of(texts[-1]) != "latest":
        return {layout.versions(model): frozenset[int]().union(*map(config.named_versions, texts))}
    folders = [layout.versions(model)]
    if layout.first_ring_config(model) in configs:
        folders.append(layout.first_ring_versions(model))
    return {folder: _complete(bucket, folder) for folder in folders}


def _complete(bucket: Bucket, folder: str) -> frozenset[int]:
    listed = layout.version_numbers(bucket.names(folder))
    return frozenset(number for number in listed if MARK in bucket.names(f"{folder}/{number}"))


def _present(folder: Path) -> frozenset[int]:
    """The versions that are there. What a killed process has left half done is removed."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(_aside(folder), ignore_errors=True)
    return layout.version_numbers(path.name for path in folder.iterdir())


def _aside(folder: Path) -> Path:
    """Where a version is prepared, or deleted: beside the folder that servers read."""
    return folder.with_name(f"{folder.name}.sync")


def _added(bucket: Bucket, root: Path, folder: str, version: int) -> str:
    aside = _aside(root / folder)
    with bucket.local_copy(f"{folder}/{version}") as source:
        shutil.copytree(source, aside)
    aside.rename(root / folder / str(version))
    return f"{_named(folder, version)} added"


def _removed(root: Path, folder: str, version: int) -> str:
    aside = _aside(root / folder)
    (root / folder / str(version)).rename(aside)
    shutil.rmtree(aside)
    return f"{_named(folder, version)} removed"


def _named(folder: str, version: int) -> str:
    return f"v{version}{_OF_THE_RING if folder.startswith(f'{layout.FIRST_RING}/') else ''}"


def _replaced(path: Path, content: bytes) -> list[str]:
    if path.exists() and path.read_bytes() == content:
        return []
    path.parent.mkdir(parents=True, exist_ok=True)
    prepared = path.with_name(f"{path.name}.new")
    prepared.write_bytes(content)
    prepared.replace(path)
    return [f"config{_OF_THE_RING if path.parent.name == layout.FIRST_RING else ''} written"]
