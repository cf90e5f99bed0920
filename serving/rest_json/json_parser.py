"""JSON text read exactly as TensorFlow Serving's parser reads it: slowly, and at any depth of nesting.

That parser is RapidJSON 1.1, set to allow NaN and infinity, to stop after the first value, and not to recurse. The
same texts are taken, and those refused are refused in the same words at the same offset.
"""

import re
from dataclasses import dataclass, field
from typing import Any, NoReturn

from serving.rest_json.json_values import ENCODING, Members
from serving.status import InvalidArgumentError

_SPACE = re.compile(rb"[ \n\r\t]*")
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')
_HEX = re.compile(rb"[0-9A-Fa-f]{4}")
_NUMBER = re.compile(rb"-?(0|[1-9][0-9]*)(\.[0-9]*)?([eE][+-]?[0-9]*)?")
_ESCAPED = {b'"': b'"', b"/": b"/", b"\\": b"\\", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_WORDS = {b"n": (b"null", None), b"t": (b"true", True), b"f": (b"false", False)}

INVALID_VALUE = "Invalid value."
TOO_BIG = "Number too big to be stored in double."
INVALID_ESCAPE = "Invalid escape character in string."
INVALID_SURROGATE = "The surrogate pair in string is invalid."


def start(body: bytes) -> int:
    """Where the text begins behind a byte order mark, of which RapidJSON takes what is there."""
    at = 0
    for mark in (b"\xef", b"\xbb", b"\xbf"):
        at += body[at : at + 1] == mark
    return at


def read(body: bytes) -> Any:
    """The first JSON value of the text; raises InvalidArgumentError where there is none."""
    return _Reader(body, start(body)).read()


@dataclass
class _Open:
    """An array or object whose end is not yet read; `key` waits for its value."""

    end: bytes
    complaint: str
    items: list[Any] = field(default_factory=list)
    key: str = ""

    def add(self, value: Any) -> None:
        self.items.append((self.key, value) if self.end == b"}" else value)

    def closed(self) -> Any:
        return Members(self.items) if self.end == b"}" else self.items


class _Reader:
    def __init__(self, body: bytes, at: int) -> None:
        self.body = body
        self.at = at
        self.open: list[_Open] = []

    def read(self) -> Any:
        while True:
            value = self._value()
            if value is _PENDING:
                continue
            while self.open:
                self.open[-1].add(value)
                if not self._ends():
                    break
                value = self.open.pop().closed()
            else:
                return value

    def _value(self) -> Any:
        """A value that is whole, or _PENDING when it is an array or object that has only begun."""
        byte = self._next()
        if byte == b"[":
            return self._begin(_Open(b"]", "Missing a comma or ']' after an array element."))
        if byte == b"{":
            return self._begin(_Open(b"}", "Missing a comma or '}' after an object member."))
        if byte in (b"", b"\0", b"]", b"}", b",", b":"):
            self._refuse(INVALID_VALUE if self.open else "The document is empty.")
        if byte == b'"':
            return self._string()
        if byte in _WORDS:
            word, value = _WORDS[byte]
            if not self._take(word):
                self._refuse(INVALID_VALUE)
            return value
        return self._number()

    def _begin(self, opened: _Open) -> Any:
        self.at += 1
        if self._next() == opened.end:
            self.at += 1
            return opened.closed()
        self.open.append(opened)
        if opened.end == b"}":
            self._key()
        return _PENDING

    def _ends(self) -> bool:
        """Whether the innermost array or object ends here; otherwise the next value follows."""
        innermost = self.open[-1]
        byte = self._next()
        if byte not in (b",", innermost.end):
            self._refuse(innermost.complaint)
        self.at += 1
        if byte == b",":
            if innermost.end == b"}":
                self._key()
            return False
        return True

    def _key(self) -> None:
        if self._next() != b'"':
            self._refuse("Missing a name for object member.")
        self.open[-1].key = self._string()
        if self._next() != b":":
            self._refuse("Missing a colon after a name of object member.")
        self.at += 1

    def _string(self) -> str:
        pieces = []
        self.at += 1
        while True:
            plain = _PLAIN.match(self.body, self.at)
            assert plain is not None
            pieces.append(plain.group())
            self.at = plain.end()
            byte = self._peek()
            if byte == b'"':
                self.at += 1
                return b"".join(pieces).decode(*ENCODING)
            if byte != b"\\":
                self._refuse(INVALID_ESCAPE if byte.strip(b"\0") else "Missing a closing quotation mark in string.")
            pieces.append(self._escaped())

    def _escaped(self) -> bytes:
        letter = self.body[self.at + 1 : self.at + 2]
        if letter in _ESCAPED:
            self.at += 2
            return _ESCAPED[letter]
        if letter != b"u":
            self._refuse(INVALID_ESCAPE)
        code, length = self._hex(2), 6
        if 0xD800 <= code < 0xDC00:
            if self.body[self.at + 6 : self.at + 8] != b"\\u":
                self._refuse(INVALID_SURROGATE)
            low, length = self._hex(8), 12
            if not 0xDC00 <= low < 0xE000:
                self._refuse(INVALID_SURROGATE)
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
        self.at += length
        return chr(code).encode("utf-8", "surrogatepass")

    def _hex(self, ahead: int) -> int:
        match = _HEX.match(self.body, self.at + ahead)
        if match is None:
            self._refuse("Incorrect hex digit after \\u escape in string.")
        return int(match.group(), 16)

    def _number(self) -> int | float:
        match = _NUMBER.match(self.body, self.at)
        if match is None:
            return self._not_finite()
        whole, fraction, exponent = match.groups(b"")
        if len(whole) > 309 or (len(whole) == 309 and float(whole[:-1]) >= 1.7976931348623157e307):
            self._refuse(TOO_BIG)
        if fraction == b".":
            self._refuse("Miss fraction part in number.", match.end(2))
        if exponent and not exponent[-1:].isdigit():
            self._refuse("Miss exponent in number.", match.end())
        if _overflows(whole, fraction[1:], exponent[1:]):
            self._refuse(TOO_BIG)
        self.at = match.end()
        return float(match.group()) if fraction or exponent else int(match.group())

    def _not_finite(self) -> float:
        minus = self._take(b"-")
        if self._take(b"NaN"):
            return float("nan")
        if not self._take(b"Inf") or (self._peek() == b"i" and not self._take(b"inity")):
            self._refuse(INVALID_VALUE)
        return float("-inf" if minus else "inf")

    def _next(self) -> bytes:
        """The byte behind white space, which is skipped."""
        space = _SPACE.match(self.body, self.at)
        assert space is not None
        self.at = space.end()
        return self._peek()

    def _peek(self) -> bytes:
        return self.body[self.at : self.at + 1]

    def _take(self, word: bytes) -> bool:
        """Whether the word is here; what there is of it is consumed, and offsets in messages show that."""
        for letter in word:
            if self._peek() != bytes([letter]):
                return False
            self.at += 1
        return True

    def _refuse(self, message: str, offset: int | None = None) -> NoReturn:
        raise InvalidArgumentError(f"JSON Parse error: {message} at offset: {self.at if offset is None else offset}")


_PENDING = object()


def _overflows(whole: bytes, fraction: bytes, exponent: bytes) -> bool:
    """RapidJSON judges by the exponent alone: 0e999 is too big, and 9e308 (infinite) is not."""
    digits = exponent.lstrip(b"+").lstrip(b"0")
    if not digits or digits.startswith(b"-"):
        return False
    # Only digits that can count in a double move the limit.
    zeros = len(fraction) - len(fraction.lstrip(b"0"))
    counted = zeros + 17 if whole == b"0" else max(0, 18 - len(whole))
    return len(digits) > 18 or int(digits) > 308 + min(len(fraction), counted)
