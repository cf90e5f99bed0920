"""The access log."""

import io
import json
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from serving.gateway.observation.access_log import LONGEST_TEXT, AccessLog, FinishedRequest
from serving.gateway.observation.facts import Facts


def logged(facts: Facts | None = None, **changes: Any) -> tuple[str, dict[str, Any]]:
    stream = io.StringIO()
    known: dict[str, Any] = {
        "method": "POST",
        "route": "/v1/classify/{model}",
        "path": "/v1/classify/digits",
        "status": 200,
        "seconds": 0.0123456789,
        "bytes_in": 1234,
        "client": "127.0.0.1",
    }
    AccessLog(stream).write(FinishedRequest(**known | changes), facts or Facts(request_id="abcdefgh"))
    return stream.getvalue(), json.loads(stream.getvalue())


def test_a_line_says_who_asked_what_and_who_answered() -> None:
    facts = Facts(
        request_id="abcdefgh",
        key_name="alice",
        model="digits",
        version=3,
        replica="127.0.0.1:8500",
        images=2,
    )
    _, record = logged(facts)
    when = datetime.fromisoformat(record.pop("time"))

    assert when.utcoffset() == timedelta(0)
    assert record == {
        "request_id": "abcdefgh",
        "method": "POST",
        "route": "/v1/classify/{model}",
        "status": 200,
        "seconds": 0.012346,
        "bytes_in": 1234,
        "client": "127.0.0.1",
        "key": "alice",
        "model": "digits",
        "version": 3,
        "replica": "127.0.0.1:8500",
        "images": 2,
    }


def test_without_a_route_the_path_is_there() -> None:
    _, record = logged(route=None, path="/wp-login.php", status=404)

    assert ("/wp-login.php", 404) == (record["path"], record["status"])
    assert "route" not in record


@given(st.text(max_size=1000), st.text(max_size=1000))
def test_no_text_of_a_client_makes_a_line_or_a_control_character(path: str, error: str) -> None:
    line, record = logged(Facts(request_id="abcdefgh", error=error), route=None, path=path)

    assert line.isascii()
    assert line[:-1].isprintable()
    assert line[-1] == "\n"
    assert len(line) < 12 * (2 * LONGEST_TEXT) + 500
    assert record["path"][:LONGEST_TEXT] == path[:LONGEST_TEXT]


def test_long_texts_are_cut() -> None:
    cut = "x" * LONGEST_TEXT + "..."
    _, record = logged(Facts(request_id="", error="x" * 9999), route=None, path="x" * 9999, method="x" * 9999)

    assert [record[name] for name in ("error", "path", "method")] == [cut] * 3


def test_a_forged_line_is_one_line() -> None:
    line, _ = logged(route=None, path='/a\n{"status": 200, "key": "admin"}\u2028\x1b[31m')

    assert len(line.splitlines()) == 1
