"""The API key for a gateway: from a file or the environment, never from the command line, which others can see."""

import re
from pathlib import Path

from pipeline.errors import BadInputError
from pipeline.settings import load_settings

_MOST_BYTES = 4096


def key_of(file: Path | None) -> str | None:
    """The API key: that of the file, else that of UNDERSTUDY_GATEWAY_KEY; None if there is none.

    Raises:
        BadInputError: it cannot be read, or is no key; it is not repeated.
    """
    if file is not None:
        return read_key(file)
    key = load_settings().gateway_key
    return None if key is None else checked_key(key.get_secret_value(), source="UNDERSTUDY_GATEWAY_KEY")


def read_key(file: Path) -> str:
    """The API key in a file, which has nothing else.

    Raises:
        BadInputError: it cannot be read, or has something else than a key; the content is not repeated.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(_MOST_BYTES)
    except OSError as error:
        raise BadInputError(f"--key-file {file} cannot be read: {error.strerror}") from error
    return checked_key(content.decode("ascii", errors="replace").strip(), source=f"--key-file {file}")


def checked_key(key: str, *, source: str) -> str:
    """A key that can be sent in a header.

    Raises:
        BadInputError: it has spaces or other characters that no key has; it is not repeated.
    """
    if not re.fullmatch(r"[\x21-\x7e]{1,1024}", key):
        raise BadInputError(f"{source} does not hold an API key: one word of ASCII characters is expected")
    return key
