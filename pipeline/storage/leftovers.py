"""What processes that died have left on a disk: found by its age, described for people, removed."""

import os
import shutil
import stat
import uuid
from datetime import UTC, datetime
from pathlib import Path

_LOCKS = ".lock"
_DAY = 24 * 60 * 60


def tidy_folder(folder: Path, *, older_than: datetime, dry_run: bool) -> list[str]:
    """Remove everything in `folder` that was last changed before `older_than`, except locks.

    Descriptions of what that is.

    A process that still works on it finds all of it missing, never a part of it. With `dry_run` nothing is removed.
    """
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        seen = _seen(path) if path.suffix != _LOCKS else None
        if seen is None or seen[1] >= older_than:
            continue
        size, touched = seen
        if dry_run or _removed(path):
            found.append(described(f"{folder.name}/{path.name}", size=size, since=touched))
    return found


def described(name: str, *, since: datetime, size: int | None = None) -> str:
    """The description of one leftover, for people; `size` is in bytes."""
    parts = [name, f"{size / 1e6:.1f} MB" if size is not None else "", f"{_age(since)} old"]
    return ", ".join(part for part in parts if part)


def _age(since: datetime) -> str:
    seconds = (datetime.now(UTC) - since).total_seconds()
    for name, unit in (("day", _DAY), ("hour", 3600)):
        number = int(seconds // unit)
        if number:
            return f"{number} {name}" + ("s" if number > 1 else "")
    return "less than an hour"


def _seen(path: Path) -> tuple[int, datetime] | None:
    """The size in bytes, and when anything of it changed last; None if it is gone.

    The time is that of the inode: a copied file has the modification time of its original.
    """
    below = (Path(folder, name) for folder, folders, files in os.walk(path) for name in (*folders, *files))
    statuses = [status for each in (path, *below) if (status := _status(each))]
    if not statuses:
        return None
    size = sum(status.st_size for status in statuses if stat.S_ISREG(status.st_mode))
    return size, datetime.fromtimestamp(max(status.st_ctime for status in statuses), UTC)


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        # Its owner is alive and has moved it, or another process tidies too.
        return None


def _removed(path: Path) -> bool:
    """Rename it, so that its owner cannot reach it any more, then delete it.

    Otherwise a half of it might be renamed into place.
    """
    doomed = path.with_name(uuid.uuid4().hex)
    try:
        path.rename(doomed)
    except FileNotFoundError:
        return False
    if doomed.is_dir():
        shutil.rmtree(doomed)
    else:
        doomed.unlink()
    return True
