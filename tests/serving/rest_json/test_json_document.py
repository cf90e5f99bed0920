"""Reading JSON as RapidJSON 1.1 does with the flags TensorFlow Serving sets; expectations come from running it."""

import json
from math import inf, isnan
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.rest_json.json_document import parse
from serving.rest_json.json_parser import read
from serving.rest_json.json_values import ABSENT, ENCODING, Members, described
from serving.status import InvalidArgumentError

DEEP = 100_000


def message(body: bytes) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        parse(body)
    return caught.value.message


REFUSALS = {
    b"": "The document is empty",
    b" \n": "The document is empty. at offset: 2",
    b"\0{}": "The document is empty. at offset: 0",
    b"]": "The document is empty. at offset: 0",
    b"x": "Invalid value. at offset: 0",
    b"{": "Missing a name for object member. at offset: 1",
    b"{1": "Missing a name for object member. at offset: 1",
    b'{"a"': "Missing a colon after a name of object member. at offset: 4",
    b'{"a":': "Invalid value. at offset: 5",
    b'{"a":1': "Missing a comma or '}' after an object member. at offset: 6",
    b'{"a":1,}': "Missing a name for object member. at offset: 7",
    b'{"a":[': "Invalid value. at offset: 6",
    b'{"a":[1,]}': "Invalid value. at offset: 8",
    b'{"a":[1 2]}': "Missing a comma or ']' after an array element. at offset: 8",
    b'{"a":[1\0]}': "Missing a comma or ']' after an array element. at offset: 7",
    b'{"a":nul}': "Invalid value. at offset: 8",
    b'{"a":True}': "Invalid value. at offset: 5",
    b"{'a':1}": "Missing a name for object member. at offset: 1",
    b'{"a":"b}': "Missing a closing quotation mark in string. at offset: 8",
    b'{"a":"\n"}': "Invalid escape character in string. at offset: 6",
    b'{"a":"b\\x"}': "Invalid escape character in string. at offset: 7",
    b'{"a":"\\u12g4"}': "Incorrect hex digit after \\u escape in string. at offset: 6",
    b'{"a":"\\ud83d"}': "The surrogate pair in string is invalid. at offset: 6",
    b'{"a":"\\ud83d\\u0041"}': "The surrogate pair in string is invalid. at offset: 6",
    b'{"a":01}': "Missing a comma or '}' after an object member. at offset: 6",
    b'{"a":.5}': "Invalid value. at offset: 5",
    b'{"a":+1}': "Invalid value. at offset: 5",
    b'{"a":--1}': "Invalid value. at offset: 6",
    b'{"a":1.}': "Miss fraction part in number. at offset: 7",
    b'{"a":1e+}': "Miss exponent in number. at offset: 8",
    b'{"a":-1e309}': "Number too big to be stored in double. at offset: 5",
    b'{"a":0e999}': "Number too big to be stored in double. at offset: 5",
    b'{"a":%s}' % (b"1" * 310): "Number too big to be stored in double. at offset: 5",
    b'{"a":%s}' % (b"1" * 10_000): "Number too big to be stored in double. at offset: 5",
    b'{"a":1e%s}' % (b"9" * 10_000): "Number too big to be stored in double. at offset: 5",
    b'{"a":Na}': "Invalid value. at offset: 7",
    b'{"a":Infinite}': "Invalid value. at offset: 12",
    b'{"a":%s' % (b"[" * DEEP): f"Invalid value. at offset: {5 + DEEP}",
}


@pytest.mark.parametrize("body", REFUSALS, ids=lambda body: repr(body[:20]))
def test_a_text_is_refused_in_rapidjsons_words_at_its_offset(body: bytes) -> None:
    assert f"JSON Parse error: {REFUSALS[body]}" == message(body)


@pytest.mark.parametrize("body", [b"[1]", b"3", b'"abc"', b"null", b"NaN"])
def test_the_body_must_be_an_object(body: bytes) -> None:
    quoted = "" if body == b"NaN" else body.decode()

    assert message(body) == f"JSON Value: {quoted} Is not object"


VALUES = {
    b"-0": 0,
    b"18446744073709551615": 2**64 - 1,
    b"Infinity": inf,
    b"-Inf": -inf,
    b"9.9e308": inf,
    b"1e-400": 0.0,
    b"0.%se1" % (b"3" * 5000): 10 / 3,
    b'"\\ud83d\\ude00\\u00e9\\/\\n"': "\N{GRINNING FACE}\N{LATIN SMALL LETTER E WITH ACUTE}/\n",
    b'"\\udc00"': b"\xed\xb0\x80".decode(*ENCODING),
    b'"\xff\xc3\xa9"': b"\xff\xc3\xa9".decode(*ENCODING),
    b"{}": Members(),
    b"[ ]": [],
}


@pytest.mark.parametrize("text", VALUES, ids=lambda text: repr(text[:20]))
def test_a_value_is_read_as_rapidjson_reads_it(text: bytes) -> None:
    assert parse(b'{"a": %s}' % text).find("a") == VALUES[text]


def test_nan_is_a_number() -> None:
    assert all(isnan(value) for value in parse(b'{"a":[NaN,-NaN]}').find("a"))


@pytest.mark.parametrize(
    "body", [b'{"a":1}]', b'{"a":1}{"a":2}', b'{"a":1}\0', b'\xef\xbb\xbf {"a":1}', b'\xef{"a":1}']
)
def test_what_stands_around_the_object_counts_for_nothing(body: bytes) -> None:
    assert parse(body) == Members([("a", 1)])


def test_of_a_key_that_comes_twice_the_first_counts() -> None:
    document = parse(b'{"a":1,"b":2,"a":3}')

    assert document.find("a") == 1
    assert document.find("c") is ABSENT
    assert len(document) == 3


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"k":', b"}")])
def test_depth_is_no_limit(opening: bytes, closing: bytes) -> None:
    value = parse(b'{"a":%s1%s}' % (opening * DEEP, closing * DEEP)).find("a")

    depth = 0
    while value != 1:
        value = value[0] if isinstance(value, list) else value.find("k")
        depth += 1
    assert depth == DEEP


DESCRIPTIONS = {
    b'{"a":[1,{"b":[]},"x\\n\x7f"],"c":{}}': (
        '{\n    "a": [1, {\n            "b": []\n        }, "x\\n\x7f"],\n    "c": {}\n}'
    ),
    b"[true,false,null,-3]": "[true, false, null, -3]",
    b"[1.5,100.0,1e20,1e21,0.000001,0.0000001,-0.0,-12.5e-30,123456.75]": (
        "[1.5, 100.0, 100000000000000000000.0, 1e21, 0.000001, 1e-7, -0.0, -1.25e-29, 123456.75]"
    ),
    b"[1,NaN,2]": "[1, ",
    b'"\\u001f\\b\\f\\t\\r\\"\\\\/"': '"\\u001F\\b\\f\\t\\r\\"\\\\/"',
    b"[" * DEEP + b"]" * DEEP: "[" * 256,
    b"[%s]" % b",".join([b"1"] * 500): "[" + "1, " * 84 + "1, 1",
    b'["%s","%s"]' % (b"a" * 300, b"b" * 300): '["' + "a" * 300 + '"',
}


@pytest.mark.parametrize("text", DESCRIPTIONS, ids=lambda text: repr(text[:20]))
def test_messages_quote_a_value_as_rapidjson_prints_it_and_no_further_than_256_bytes(text: bytes) -> None:
    assert DESCRIPTIONS[text] == described(read(text))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def plain(value: Any) -> Any:
    if isinstance(value, Members):
        return {key: plain(member) for key, member in value}
    return [plain(element) for element in value] if isinstance(value, list) else value


@settings(deadline=None)
@given(st.dictionaries(st.text(), JSON), st.booleans())
def test_both_ways_to_read_give_what_python_wrote(document: dict[str, Any], ascii_only: bool) -> None:
    body = json.dumps(document, ensure_ascii=ascii_only).encode()

    assert plain(read(body)) == document
    assert parse(body) == read(body)


@settings(deadline=None)
@given(st.text(alphabet='{}[]:,"ab\\u0d1e.-+ NaInfity\n'))
def test_no_text_raises_anything_but_invalid_argument(text: str) -> None:
    for body in (text.encode(), b'{"instances":' + text.encode()):
        try:
            expected: Any = read(body)
        except InvalidArgumentError:
            expected = None
        try:
            assert described(parse(body)) == described(expected)
        except InvalidArgumentError:
            assert not isinstance(expected, Members)
