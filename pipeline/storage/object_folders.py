"""Folders in an object store. There is no rename, so `saved_model.pb` is written last and removed first."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.errors import MissingError, StorageError
from pipeline.storage.bucket import Still
from pipeline.storage.objects import ChangedError, Generation, Item, Listed, Objects, UnansweredError, in_parallel
from pipeline.storage.sums import MARK, FileSum, checksums_of, require_equal, sum_of_file, sums_of


def upload(objects: Objects, source: Path, key: str) -> None:
    """Store a folder of this machine; see `Bucket.upload`."""
    files = {path.relative_to(source).as_posix(): path for path in source.rglob("*") if path.is_file()}
    for names in _stages(files):
        failures = objects.upload({f"{key}/{name}": files[name] for name in names})
        there = objects.listed(key)
        for name in names:
            _require_uploaded(files[name], there.get(name), failure=failures.get(f"{key}/{name}"))


def download(objects: Objects, key: str, target: Path) -> None:
    """Write every file below the folder `key` into an empty folder of this machine.

    Raises:
        MissingError: there is no such folder.
        StorageError: a file did not arrive as it is stored, or this machine has no room for it.
    """
    stored = folder(objects, key)
    strange = [name for name in stored if {"", ".", ".."} & set(name.split("/"))]
    if strange:
        raise StorageError(f"cannot download {key}: {strange[0]!r} is not the name of a file in a folder; remove it")
    try:
        for name in stored:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
        in_parallel(lambda name: objects.download(f"{key}/{name}", stored[name], target / name), stored)
        arrived = checksums_of(sums_of(target))
    except OSError as error:
        raise StorageError(f"cannot download {key} to {target}: {error.strerror or error}") from error
    differing = sorted(name for name, crc32c in checksums_of(stored).items() if arrived.get(name) != crc32c)
    if differing:
        raise StorageError(f"cannot download {key}: {', '.join(differing)} did not arrive as stored; try again")


def copy(
    objects: Objects, source: str, key: str, *, expected: Mapping[str, FileSum], still: Still | None = None
) -> bool:
    """Copy a folder inside the store; see `Bucket.copy`."""
    originals = folder(objects, source)
    wanted = checksums_of(expected)
    # The checksums in the store show most damage before a byte is read.
    require_equal(checksums_of(originals), wanted, folder=source)
    there = objects.listed(key)
    # Files that do not belong to the version are found here: a server would load them with the rest.
    require_equal(checksums_of(there), only(wanted, wanted.keys() & there.keys()), folder=key)
    # Everything is read before anything is written: servers try to load an incomplete folder, so it must be incomplete
    # only while the store copies.
    require_equal(sums(objects, source, originals), expected, folder=source)
    require_equal(sums(objects, key, there), only(expected, there), folder=key)
    for names in _stages(expected):
        if names == [MARK] and MARK not in there and still and not still():
            return False
        failures = in_parallel(
            lambda name: _copied(objects, f"{source}/{name}", originals[name], f"{key}/{name}"),
            [name for name in names if name not in there],
        )
        there = objects.listed(key)
        if any(name not in there for name in names):
            raise next(filter(None, failures), StorageError(f"{key} is incomplete; repeat this command"))
        # The store copies one generation, and the checksum that it computes for the copy proves it.
        require_equal(only(checksums_of(there), names), only(wanted, names), folder=key)
    require_equal(checksums_of(there), wanted, folder=key)
    return True


def remove(objects: Objects, key: str, *, still: Still | None = None) -> bool:
    """Remove a folder; see `Bucket.remove`."""
    # What is written after this is not in the list, and stays.
    listed = objects.generations(key)
    if still and listed and not still():
        return False
    for names in reversed(list(_stages(listed))):
        gone = in_parallel(lambda name: _removed(objects, f"{key}/{name}", listed[name]), names)
        if not all(gone):
            # If `saved_model.pb` was written again, it needs the other files.
            return False
    return not objects.generations(key)


def delete(objects: Objects, key: str) -> None:
    """Delete one object; see `Bucket.delete`."""
    found = objects.find(key)
    if found is not None:
        _removed(objects, key, found.generation)


def folder(objects: Objects, key: str) -> dict[str, Listed]:
    """Every file below the folder `key`, by its path in it.

    Raises:
        MissingError: there is none.
    """
    found = objects.listed(key)
    if not found:
        raise MissingError(f"no folder {key} in the bucket {objects.address}")
    return found


def sums(objects: Objects, key: str, files: Mapping[str, Listed]) -> dict[str, FileSum]:
    """The sums of `files` in the folder `key`. Every byte is read."""
    found = in_parallel(lambda name: objects.sum(f"{key}/{name}", files[name]), files)
    return dict(zip(files, found, strict=True))


def only(of: Mapping[str, Item], names: Iterable[str]) -> dict[str, Item]:
    return {name: of[name] for name in names}


def _stages(names: Iterable[str]) -> list[list[str]]:
    """All names but `saved_model.pb`, then that one."""
    ordered = sorted(names)
    stages = [[name for name in ordered if name != MARK], [name for name in ordered if name == MARK]]
    return [stage for stage in stages if stage]


def _require_uploaded(path: Path, there: Listed | None, *, failure: StorageError | None) -> None:
    if there is None:
        raise failure or StorageError(f"{path} was uploaded and does not exist now; upload it again")
    if failure and there.crc32c != sum_of_file(path).crc32c:
        raise failure


def _copied(objects: Objects, source: str, original: Listed, key: str) -> StorageError | None:
    """Copy one object; a failure is returned if only a listing can tell whether the copy exists."""
    try:
        objects.rewrite(source, original, key)
    except (ChangedError, UnansweredError) as error:
        return error
    return None


def _removed(objects: Objects, key: str, generation: Generation) -> bool:
    """Whether it is gone; what was written since it was listed stays."""
    try:
        objects.remove(key, generation)
    except MissingError:
        return True
    except ChangedError:
        return False
    return True
