"""What pages of other sites can do to a gateway on loopback that needs no key."""

import asyncio
import json

import pytest

from serving.gateway.security.foreign_pages import OwnPagesOnly
from tests.serving.gateway.asking import Recorded, answer, ask

HOST = {"Host": "127.0.0.1:8090"}
SAME = {**HOST, "Origin": "http://127.0.0.1:8090", "Sec-Fetch-Site": "same-origin"}
LINK = {**HOST, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.mark.parametrize(
    "headers",
    [
        HOST,
        {"Host": "localhost"},
        {"Host": "LOCALHOST:8090"},
        {"Host": "[::1]:8090"},
        {"Host": "127.0.0.2"},
        SAME,
        {**HOST, "Sec-Fetch-Site": "none"},
        LINK,
        {},
    ],
)
def test_programs_of_this_machine_and_the_own_page_pass(headers: dict[str, str]) -> None:
    assert ask(OwnPagesOnly(Recorded()), headers=headers).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example:8090"},
        {"Host": "127.0.0.1.example"},
        {"Host": "localhost.example:8090"},
        {"Host": "192.0.2.1:8090"},
        {"Host": "[::1"},
        {"Host": ""},
        {**HOST, "Origin": "https://example.org"},
        {**HOST, "Origin": "null"},
        {**HOST, "Origin": "http://127.0.0.1:3000"},
        {**HOST, "Origin": "http://localhost:8090"},
        {"Origin": "http://127.0.0.1:8090"},
        {**HOST, "Sec-Fetch-Site": "cross-site"},
        {**HOST, "Sec-Fetch-Site": "same-site"},
        {**LINK, "Host": "rebound.example"},
        {**LINK, "Sec-Fetch-Dest": "iframe"},
    ],
)
def test_pages_of_other_sites_do_not(headers: dict[str, str]) -> None:
    app = Recorded()
    reply = ask(OwnPagesOnly(app), method="GET", headers=headers)

    assert reply.status == 403
    assert "--keys FILE" in json.loads(reply.body)["error"]
    assert app.scopes == []


def test_a_form_on_another_site_cannot_post() -> None:
    assert ask(OwnPagesOnly(Recorded()), method="POST", headers=LINK).status == 403


def test_a_preflight_is_refused() -> None:
    reply = ask(OwnPagesOnly(Recorded()), method="OPTIONS", headers={**HOST, "Origin": "https://example.org"})

    assert reply.status == 403
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_two_hosts_are_refused() -> None:
    headers = [(b"host", b"localhost"), (b"host", b"localhost")]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": headers}

    assert asyncio.run(answer(OwnPagesOnly(Recorded()), scope, ())).status == 403
