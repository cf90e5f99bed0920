"""Which directory names below a base path TensorFlow Serving reads as version numbers."""

import re

# absl::SimpleAtoi, with which tensorflow_serving/sources/storage_path/file_system_storage_path_source.cc reads them:
# optional whitespace around, an optional sign, ASCII digits.
_NUMBER = re.compile(r"[ \t\n\v\f\r]*([+-]?[0-9]+)[ \t\n\v\f\r]*")


def parse_version(name: str) -> int | None:
    """The version that a directory name stands for, for example 7 for `007`.

    None if it is not a signed 64-bit number.
    """
    match = _NUMBER.fullmatch(name)
    if match is None:
        return None
    number = int(match[1])
    return number if -(2**63) <= number < 2**63 else None
