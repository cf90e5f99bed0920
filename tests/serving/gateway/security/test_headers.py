"""Security headers."""

import pytest

from serving.gateway.http.asgi import Receive, Scope, Send, send_body, send_error
from serving.gateway.security.headers import SecurityHeaders
from tests.serving.gateway.asking import Recorded, ask


def test_each_answer_protects_who_uses_the_page() -> None:
    headers = ask(SecurityHeaders(Recorded())).headers
    policy = headers["content-security-policy"]

    assert "default-src 'none'; script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"


def test_errors_have_them_too() -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        await send_error(send, 401, "no")

    assert "content-security-policy" in ask(SecurityHeaders(fails)).headers


def test_what_the_application_says_itself_stays() -> None:
    async def cached(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"Cache-Control", b"max-age=60")]
        await send_body(send, 200, b"", content_type=b"text/css", headers=headers)

    headers = ask(SecurityHeaders(cached)).headers

    assert headers["Cache-Control"] == "max-age=60"
    assert "cache-control" not in headers


@pytest.mark.parametrize(
    ("scheme", "forwarded", "sent"), [("http", "http", False), ("https", "http", True), ("http", "https", True)]
)
def test_browsers_are_bound_to_tls_only_where_it_is_used(scheme: str, forwarded: str, sent: bool) -> None:
    headers = ask(SecurityHeaders(Recorded()), headers={"X-Forwarded-Proto": forwarded}, scheme=scheme).headers

    assert sent is ("strict-transport-security" in headers)


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_no_other_site_may_read_an_answer(method: str) -> None:
    asked = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
    headers = ask(SecurityHeaders(Recorded()), method=method, headers=asked).headers

    assert not [name for name in headers if name.startswith("access-control")]
