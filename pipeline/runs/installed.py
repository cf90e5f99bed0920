"""What is installed: one digest for all packages with their versions, to notice a change between two runs."""

import hashlib
import platform
from functools import cache
from importlib.metadata import distributions


@cache
def installed() -> str:
    """The SHA-256 of the version of Python and of the name and version of every installed package, in hexadecimal.

    All packages count, not only those that a training imports: which ones have an effect on it is not known. It reads
    the metadata of each package, 0.1 s for 400, so call it only where the answer is needed. The answer is cached.
    """
    # A folder that an interrupted installation has left has no name, or no metadata at all.
    found = (each.metadata for each in distributions())
    named = (each for each in found if each and "Name" in each and "Version" in each)
    return digest_of({(each["Name"], each["Version"]) for each in named})


def digest_of(packages: set[tuple[str, str]], *, python: str | None = None) -> str:
    """The digest of some packages.

    Args:
        packages: names and versions.
        python: the version of Python; None for that of this process.
    """
    lines = [f"python=={python or platform.python_version()}", *sorted(f"{name}=={v}" for name, v in packages)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
