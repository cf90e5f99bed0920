"""The pages of a checkpoint: facts about versions, runs, contents and moves.

64 versions or 256 moves are on one page; runs and contents are spread over 256 pages each.

A page is named by its subject and by the SHA-256 of its content, so a new checkpoint stores only the pages that differ
from those of the one before, and a page that was damaged is recognised.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from pipeline.errors import StorageError

# Versions on one page, and moves of traffic.
VERSIONS = 64
MOVES = 256
# Pages in memory that were loaded; one takes up to about 100 KB there.
LOADED = 64

# Reads the bytes of a page by its name and digest; raises DamagedPageError.
Load = Callable[[str, str], bytes]


class DamagedPageError(StorageError):
    """A page is missing, or is not what its name says."""


def version_page(version: int) -> str:
    return f"versions-{version // VERSIONS}"


def move_page(number: int) -> str:
    """The page of the move with this number, counted from 0."""
    return f"moves-{number // MOVES}"


def run_page(run_key: str) -> str:
    return f"runs-{_group(run_key)}"


def content_page(digest: str) -> str:
    return f"contents-{_group(digest)}"


def _group(text: str) -> str:
    """One of 256 groups of about the same size."""
    return hashlib.sha256(text.encode()).hexdigest()[:2]


def digest_of(content: bytes) -> str:
    """The SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def packed(value: Any) -> bytes:
    """A value as JSON: the same bytes for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


class Pages:
    """Pages that are loaded when they are asked for, and those that were changed since.

    A page is a JSON object. Whoever gets one must not change it, but may `put` another one. Of those that were loaded,
    only the ones that were used last stay in memory; whoever asks for many should ask page by page.

    Args:
        digests: the digest of each stored page, by its name.
        load: reads one from the bucket.
    """

    def __init__(self, digests: Mapping[str, str], load: Load) -> None:
        self._digests = dict(digests)
        self._load = load
        self._loaded = lru_cache(maxsize=LOADED)(lambda name, digest: json.loads(load(name, digest)))
        self._changed: dict[str, dict[str, Any]] = {}

    def get(self, name: str) -> dict[str, Any]:
        """A page; empty if there is none yet.

        Raises:
            DamagedPageError: it is missing, or is not what its digest says.
        """
        if name in self._changed:
            return self._changed[name]
        digest = self._digests.get(name)
        page: dict[str, Any] = self._loaded(name, digest) if digest is not None else {}
        return page

    def put(self, name: str, page: dict[str, Any]) -> None:
        """Replace a page. It is not stored yet."""
        self._changed[name] = page

    def copy(self) -> "Pages":
        """The same pages, to be changed apart from these. What was loaded is shared."""
        other = Pages(self._digests, self._load)
        other._loaded, other._changed = self._loaded, dict(self._changed)
        return other

    def contents(self) -> tuple[dict[str, str], dict[tuple[str, str], bytes]]:
        """The digest of every page by its name, and the content of those to be stored by name and digest."""
        changed = {name: packed(page) for name, page in self._changed.items()}
        digests = self._digests | {name: digest_of(content) for name, content in changed.items()}
        return digests, {(name, digests[name]): content for name, content in changed.items()}
