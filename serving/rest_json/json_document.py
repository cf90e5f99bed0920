"""The body of a request as a JSON object: quickly where Python's parser is known to agree with RapidJSON."""

import json
import re
from typing import Any

from serving.rest_json.json_parser import read, start
from serving.rest_json.json_values import ABSENT, ENCODING, Members, described
from serving.status import InvalidArgumentError, StatusError

_decoder = json.JSONDecoder(object_pairs_hook=Members)
_SPACE = re.compile(r"[ \n\r\t]*")

# What Python takes and RapidJSON may not: half a surrogate pair, a number beyond a double. Digits are all made
# zeros first, so that a plain search finds them; a false alarm only costs time.
_SURROGATE = re.compile(rb"\\u[dD]")
_ZEROS = bytes.maketrans(b"123456789E", b"000000000e")
_LARGE_EXPONENT = re.compile(rb"e\+?000")
_LARGE_INTEGER = b"0" * 300


def parse(body: bytes) -> Members:
    """The object the body begins with, whatever follows; raises InvalidArgumentError when it begins otherwise."""
    if not body:
        raise InvalidArgumentError("JSON Parse error: The document is empty")
    document = _quickly(body)
    if document is None:
        document = read(body)
    if not isinstance(document, Members):
        raise format_error(document, "Is not object")
    return document


def fill_signature(document: Members, request: Any) -> None:
    """Put the document's signature name, if it has one, into the request's model_spec."""
    name = document.find("signature_name")
    if name is ABSENT:
        return
    if not isinstance(name, str):
        raise format_error(document, "not formatted correctly. 'signature_name' key must be a string value.")
    try:
        request.model_spec.signature_name = name
    except ValueError as error:
        # Bytes that are not UTF-8 name no signature.
        raise InvalidArgumentError(f'Serving signature name: "{name}" not found in signature def') from error


def format_error(value: Any, complaint: str) -> StatusError:
    return InvalidArgumentError(f"JSON Value: {described(value)} {complaint}")


def _quickly(body: bytes) -> Any:
    """The value, or None when it takes more care: parsers may differ here, or the text is wrong or nested deeply."""
    digits = body.translate(_ZEROS)
    if _LARGE_EXPONENT.search(digits) or _LARGE_INTEGER in digits or _SURROGATE.search(body):
        return None
    text = body[start(body) :].decode(*ENCODING)
    space = _SPACE.match(text)
    assert space is not None
    try:
        value, _ = _decoder.raw_decode(text, space.end())
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, Members) else None
