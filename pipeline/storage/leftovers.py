"""What dead processes have left: found by its age, told to a person, removed."""

import os
import shutil
import stat
import uuid
from datetime import UTC, datetime
from pathlib import Path

_LOCKS = ".lock"
_DAY = 24 * 60 * 60


def tidy_folder(folder: Path, *, older_than: datetime, dry_run: bool) -> list[str]:
    """Remove what lies in `folder` and was touched last before `older_than`, but for locks; what that is, or would be.

    Whoever still works on it finds it gone, and never a part of it.
    """
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        seen = _seen(path) if path.suffix != _LOCKS else None
        if seen is None or seen[1] >= older_than:
            continue
        size, touched = seen
        if dry_run or _removed(path):
            found.append(told(f"{folder.name}/{path.name}", size=size, since=touched))
    return found


def told(name: str, *, since: datetime, size: int | None = None) -> str:
    """One leftover in words; `size` is in bytes."""
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
    """The size in bytes, and when anything of it changed last; None where it is gone.

    By the time of the inode: a copied file has the modification time of its original.
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
        # Its owner is alive, or somebody else tidies.
        return None


def _removed(path: Path) -> bool:
    """Take it out of its owner's reach at once, and delete it then: a half of it must not be renamed into place."""
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
