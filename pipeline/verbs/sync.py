"""Copy what servers should find into a folder of this machine, for servers that cannot read the bucket.

A version comes before the config that names it, and goes after it. A version appears and goes by a rename, so no server
loads half of one.
"""

import logging
import shutil
import time
from pathlib import Path
from typing import NoReturn

from pipeline import layout
from pipeline.commands import with_model
from pipeline.deployment import Deployment
from pipeline.errors import BadInputError, StorageError
from pipeline.rollout import config
from pipeline.storage.bucket import Bucket
from pipeline.storage.sums import MARK
from pipeline.stored import newer_version

log = logging.getLogger(__name__)


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

    Raises:
        MissingError: there is no config of the model, or a version that it names is gone; the next call sees why.
        NewerVersionError: a newer version wrote the config. What was there is still there.
        StorageError: the bucket gave no answer, or the folder cannot be written. What was there is still there.
    """
    text = bucket.read(layout.config(model))
    wanted = _wanted(bucket, model, text.decode(errors="replace"))
    try:
        folder, aside = root / layout.versions(model), root / f"{layout.versions(model)}.sync"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(aside, ignore_errors=True)
        present = layout.version_numbers(path.name for path in folder.iterdir())
        for version in sorted(wanted - present):
            with bucket.local_copy(layout.version(model, version)) as source:
                shutil.copytree(source, aside)
            aside.rename(folder / str(version))
        changed = [f"v{version} added" for version in sorted(wanted - present)]
        changed += _replaced(root / layout.config(model), text)
        for version in sorted(present - wanted):
            (folder / str(version)).rename(aside)
            shutil.rmtree(aside)
            changed.append(f"v{version} removed")
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


def _wanted(bucket: Bucket, model: str, text: str) -> frozenset[int]:
    """The versions that servers should find: those the config names, or all that are complete."""
    unknown = config.unknown_format(text)
    if unknown is not None:
        raise newer_version(layout.config(model), f"its first line says {unknown!r}")
    if config.rollout_of(text) != "latest":
        return config.named_versions(text)
    listed = layout.version_numbers(bucket.names(layout.versions(model)))
    return frozenset(number for number in listed if MARK in bucket.names(layout.version(model, number)))


def _replaced(path: Path, content: bytes) -> list[str]:
    if path.exists() and path.read_bytes() == content:
        return []
    prepared = path.with_name(f"{path.name}.new")
    prepared.write_bytes(content)
    prepared.replace(path)
    return ["config written"]
