"""JSON values as Python holds them here, and how TensorFlow Serving's messages speak of them.

None, bool, int, float and list as the json module makes them. An object is `Members`. A str may hold bytes that are
not UTF-8 (surrogateescape), because RapidJSON lets them pass. An int that fits neither int64 nor uint64 is what
RapidJSON calls a double.
"""

from contextlib import suppress
from decimal import Decimal
from math import copysign, isfinite
from typing import Any

ENCODING = ("utf-8", "surrogateescape")
INT64 = range(-(2**63), 2**63)
UINT64 = range(2**64)
ABSENT = object()

# Messages quote a value no further than this, and one string beyond.
QUOTED_BYTES = 256
_WORDS = {None: "null", True: "true", False: "false"}
_ESCAPES = {code: f"\\u{code:04X}" for code in range(0x20)} | str.maketrans(
    {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
)


class Members(tuple[tuple[str, Any], ...]):
    """The members of an object as they stood: a key may come twice, and the first counts."""

    __slots__ = ()

    def find(self, key: str) -> Any:
        """The first value under `key`, or ABSENT."""
        return next((value for name, value in self if name == key), ABSENT)


def c_string(name: str) -> str:
    """A name as TensorFlow Serving takes it from JSON: up to the first NUL."""
    return name.partition("\0")[0]


def is_double(value: Any) -> bool:
    return type(value) is float or (type(value) is int and value not in INT64 and value not in UINT64)


def type_name(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value).replace("None", "Null")
    for kind, name in ((Members, "Object"), (list, "Array"), (str, "String")):
        if isinstance(value, kind):
            return name
    return "Number"


def quoted(text: str) -> str:
    return f'"{text.translate(_ESCAPES)}"'


def described(value: Any) -> str:
    """The beginning of the value as RapidJSON prints it, arrays on one line, objects not."""
    description = _Description()
    with suppress(_CutError):
        description.add(value, "", 0)
    return description.text.decode(*ENCODING)


class _CutError(Exception):
    pass


class _Description:
    def __init__(self) -> None:
        self.text = bytearray()

    def add(self, value: Any, before: str, depth: int) -> None:
        """Recursion ends where the text is cut: each level writes at least a bracket."""
        if isinstance(value, Members):
            self._write(before + "{")
            for position, (key, member) in enumerate(value):
                self.add(key, _line(depth + 1, comma=position > 0), depth)
                self.add(member, ": ", depth + 1)
            self._write(_line(depth) + "}" if value else "}")
        elif isinstance(value, list):
            self._write(before + "[")
            for position, element in enumerate(value):
                self.add(element, ", " if position else "", depth + 1)
            self._write("]")
        elif is_double(value) and not isfinite(value):
            # RapidJSON's writer gives up at these.
            self._write(before)
            raise _CutError
        else:
            self._write(before + _scalar_text(value))

    def _write(self, text: str) -> None:
        if len(self.text) >= QUOTED_BYTES:
            raise _CutError
        self.text += text.encode(*ENCODING)


def _line(depth: int, *, comma: bool = False) -> str:
    return "," * comma + "\n" + "    " * depth


def _scalar_text(value: Any) -> str:
    if isinstance(value, str):
        return quoted(value)
    if is_double(value):
        return _double_text(float(value))
    return str(value) if type(value) is int else _WORDS[value]


def _double_text(value: float) -> str:
    """Shortest digits, laid out as RapidJSON does: 1e20 is 100000000000000000000.0, 1e21 is 1e21."""
    sign = "-" if copysign(1, value) < 0 else ""
    if value == 0:
        return f"{sign}0.0"
    _, figures, exponent = Decimal(repr(value)).normalize().as_tuple()
    digits = "".join(map(str, figures))
    point = len(digits) + int(exponent)
    if len(digits) <= point <= 21:
        return f"{sign}{digits.ljust(point, '0')}.0"
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{point - 1}"
