"""How much the decoded images on this machine may take together. Segments that were not used for longest go first."""

from pathlib import Path

from pipeline.training.inputs.segment import ENTRY, INDEX, PIXELS, remove_unused


def make_room(root: Path, wanted: int, *, most_bytes: int) -> bool:
    """Remove segments below a folder until so many bytes more are within the limit; whether they are.

    Segments that a process reads or writes stay.
    """
    found = sorted(_segments(root))
    total = sum(size for _, size, _ in found)
    for _, size, path in found:
        if total + wanted <= most_bytes:
            break
        if remove_unused(path):
            total -= size
    return total + wanted <= most_bytes


def _segments(root: Path) -> list[tuple[float, int, Path]]:
    """When each was used last, its bytes, and its file."""
    found = []
    for path in root.glob(f"*/*{PIXELS}"):
        try:
            status, index = path.stat(), path.with_suffix(INDEX)
            size = status.st_size + (index.stat().st_size if index.exists() else 0)
        except OSError:  # another process has removed it
            continue
        found.append((status.st_mtime, size, path))
    return found


def bytes_of(image_bytes: int) -> int:
    """What an image takes on the disk, with its entry in the index."""
    return image_bytes + ENTRY.itemsize
