"""API keys: a text file with the hash of each, one on a line.

    # name      hash of the key            what else holds for it
    alice       sha256:9f86d08...          rate=20
    batch-jobs  sha256:60303ae...          rate=5 expires=2027-06-30

The hash is plain SHA-256. A slow hash (bcrypt, Argon2) protects what people choose and others can guess. A key here is
256 random bits: nobody finds it by trying, however fast a try is; and a slow hash for each request would be a way to
overload the gateway.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

# Secret scanners find a leaked key by this beginning.
PREFIX = "understudy_"
RANDOM_BYTES = 32
# No key is longer; what is longer is not hashed.
LONGEST = 200
LARGEST_FILE = 1024 * 1024

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_HASH = re.compile(r"sha256:([0-9a-f]{64})")


class KeysError(ValueError):
    """The keys cannot be read; the message names the line. It never holds what was in that line."""


@dataclass(frozen=True, kw_only=True)
class Key:
    """What is known of a key; not the key itself.

    Attributes:
        name: unique in its file; it is in the access log.
        digest: SHA-256 of the key's text.
        rate: requests per second; None without a limit.
        expires: from here on it is refused, UTC; None if it does not expire.
    """

    name: str
    digest: bytes
    rate: float | None = None
    expires: datetime | None = None

    def expired(self, now: datetime) -> bool:
        return self.expires is not None and now >= self.expires

    def line(self) -> str:
        """The line of a file of keys, for `parse_keys`."""
        words = [self.name, f"sha256:{self.digest.hex()}"]
        if self.rate is not None:
            words.append(f"rate={self.rate:g}")
        if self.expires is not None:
            words.append(f"expires={self.expires.isoformat()}")
        return "  ".join(words)


def new_key() -> str:
    return PREFIX + secrets.token_urlsafe(RANDOM_BYTES)


def digest_of(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def find_key(keys: Sequence[Key], presented: str) -> Key | None:
    """The key with this text, expired or not.

    It compares with all keys, each in constant time: how long it takes depends on how many there are and not on how
    much of a hash is right.
    """
    if len(presented) > LONGEST:
        return None
    digest = digest_of(presented)
    found = None
    for key in keys:
        if hmac.compare_digest(key.digest, digest):
            found = key
    return found


def parse_keys(text: str) -> tuple[Key, ...]:
    """The keys of a file. An empty text, or one with nothing but comments, has no keys.

    Raises:
        KeysError: a line is wrong, or a name or a hash is given twice.
    """
    keys: list[Key] = []
    names, digests = set(), set()
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        key = _key(words, number)
        if key.name in names or key.digest in digests:
            raise KeysError(f"line {number}: the name or the hash is on an earlier line already")
        names.add(key.name)
        digests.add(key.digest)
        keys.append(key)
    return tuple(keys)


def _key(words: list[str], number: int) -> Key:
    """Raises KeysError. A person may have written the key itself where the hash belongs, so no word is repeated."""
    name, *rest = words
    found = _HASH.fullmatch(rest[0]) if rest else None
    if not is_name(name) or found is None:
        raise KeysError(f"line {number}: write `NAME sha256:HASH`, as new_key prints it (hash: 64 digits 0-9a-f)")
    options = dict.fromkeys(("rate", "expires"), "")
    for word in rest[1:]:
        option, _, value = word.partition("=")
        if option not in options or options[option] or not value:
            raise KeysError(f"line {number}: after the hash there can be rate=NUMBER and expires=DATE, each once")
        options[option] = value
    try:
        rate = rate_of(options["rate"]) if options["rate"] else None
        expires = moment_of(options["expires"]) if options["expires"] else None
    except KeysError as error:
        raise KeysError(f"line {number}: {error}") from None
    return Key(name=name, digest=bytes.fromhex(found[1]), rate=rate, expires=expires)


def is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def rate_of(text: str) -> float:
    """Requests per second. Raises KeysError."""
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0.001 <= rate <= 1_000_000:
        raise KeysError("the rate is requests per second, a number from 0.001 to 1000000")
    return rate


def moment_of(text: str) -> datetime:
    """A day (its first moment), or a moment in ISO 8601; UTC unless it says otherwise. Raises KeysError."""
    try:
        if len(text) == len("2027-01-31"):
            return datetime.combine(date.fromisoformat(text), time(), UTC)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise KeysError("an expiry is a day like 2027-01-31 or a moment like 2027-01-31T18:00:00+00:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
