"""Make an API key: print it, once, and the line for the file of keys.

    python -m serving.gateway.security.new_key NAME [--rate 20] [--expires 2027-01-31]

The line goes to standard output and the key to standard error: with `>> keys` the file gets the line, and nothing when
the command fails, and the key is on the screen only.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from serving.gateway.security.keys import Key, KeysError, digest_of, is_name, moment_of, new_key, rate_of

Value = TypeVar("Value")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m serving.gateway.security.new_key",
        description="Make an API key for the gateway. The key is printed once; the file of keys gets only its hash.",
        epilog="Add the line to the file: ... NAME >> keys. A running gateway reads it within a second.",
    )
    parser.add_argument("name", type=_name, help="who uses it; it is in the access log")
    parser.add_argument("--rate", type=_checked(rate_of), default=20.0, help="requests per second, default 20")
    parser.add_argument("--expires", type=_checked(moment_of), help="a day, 2027-01-31, or a moment; UTC")
    chosen = parser.parse_args(arguments)
    key = new_key()
    line = Key(name=chosen.name, digest=digest_of(key), rate=chosen.rate, expires=chosen.expires).line()
    sys.stderr.write(f"The key, shown only now:  {key}\nThe line for the file of keys:\n")
    sys.stderr.flush()
    sys.stdout.write(f"{line}\n")
    return 0


def _name(text: str) -> str:
    if not is_name(text):
        raise argparse.ArgumentTypeError("a name has 1 to 63 letters, digits, `.`, `_` and `-`")
    return text


def _checked(read: Callable[[str], Value]) -> Callable[[str], Value]:
    def checked(text: str) -> Value:
        try:
            return read(text)
        except KeysError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return checked


if __name__ == "__main__":
    sys.exit(main())
