"""Who passes the gate, and what the others read (F70)."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from serving.gateway.observation.facts import facts_of
from serving.gateway.security.gate import REFUSED_RATE, Gate
from serving.gateway.security.key_file import LOOK_SECONDS, KeyFile
from serving.gateway.security.keys import Key, digest_of
from tests.serving.gateway.asking import Clock, Recorded, ask

ALICE, BOB = "understudy_alice", "understudy_bob"
OPEN = ("/", "/healthz", "/page/")
NOW = datetime(2027, 1, 1, tzinfo=UTC)


class Guarded:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.write(
            Key(name="alice", digest=digest_of(ALICE), rate=2.0),
            Key(name="bob", digest=digest_of(BOB)),
            Key(name="gone", digest=digest_of("understudy_gone"), expires=NOW),
        )
        self.clock = Clock()
        self.app = Recorded()
        keys = KeyFile(path, clock=self.clock)
        self.gate = Gate(self.app, keys=keys, open_paths=OPEN, clock=self.clock, now=lambda: NOW)

    def write(self, *keys: Key) -> None:
        self.path.write_text("#\n" + "".join(f"{key.line()}\n" for key in keys))


@pytest.fixture
def guarded(tmp_path: Path) -> Guarded:
    return Guarded(tmp_path / "keys")


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {BOB}"},
        {"authorization": f"bearer  {BOB} "},
        {"X-API-Key": BOB},
        {"Authorization": "Basic YTpi", "X-API-Key": BOB},
    ],
)
def test_a_key_passes_in_either_header_and_its_name_is_noted(guarded: Guarded, headers: dict[str, str]) -> None:
    reply = ask(guarded.gate, headers=headers)

    assert reply.status == 200
    assert [facts_of(scope).key_name for scope in guarded.app.scopes] == ["bob"]


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "an API key is needed"),
        ({"Authorization": "Bearer "}, "an API key is needed"),
        ({"Authorization": f"Basic {BOB}"}, "an API key is needed"),
        ({"X-API-Key": BOB[:-1]}, "not valid"),
        ({"X-API-Key": BOB + "x"}, "not valid"),
        ({"X-API-Key": digest_of(BOB).hex()}, "not valid"),
        ({"X-API-Key": "ä" * 300}, "not valid"),
        ({"X-API-Key": "understudy_gone"}, "expired at 2027-01-01"),
    ],
)
def test_without_a_valid_key_it_is_401_with_the_reason(guarded: Guarded, headers: dict[str, str], reason: str) -> None:
    reply = ask(guarded.gate, headers=headers)

    assert reply.status == 401
    assert reply.headers["www-authenticate"] == 'Bearer realm="understudy"'
    assert reason in json.loads(reply.body)["error"]
    assert guarded.app.scopes == []
    assert BOB[:-1].encode() not in reply.body


def test_the_body_of_a_refused_request_is_not_read(guarded: Guarded) -> None:
    """`ask` would fail where a part is read that does not exist."""
    assert ask(guarded.gate, method="POST", body=()).status == 401


@pytest.mark.parametrize("path", ["/", "/healthz", "/page/gateway.js"])
def test_some_paths_are_open_to_who_reads(guarded: Guarded, path: str) -> None:
    assert [ask(guarded.gate, path, method=each).status for each in ("GET", "HEAD", "POST")] == [200, 200, 401]


@pytest.mark.parametrize("path", ["/healthz/", "//healthz", "/Healthz", "/page", "/metrics", "/fleet", "/v1/models"])
def test_what_only_looks_like_an_open_path_is_closed(guarded: Guarded, path: str) -> None:
    assert ask(guarded.gate, path).status == 401


def test_a_revoked_key_is_refused_within_a_second(guarded: Guarded) -> None:
    before = ask(guarded.gate, headers={"X-API-Key": BOB}).status
    guarded.write(Key(name="alice", digest=digest_of(ALICE)))
    guarded.clock.passes(LOOK_SECONDS)

    assert (200, 401) == (before, ask(guarded.gate, headers={"X-API-Key": BOB}).status)


def test_beyond_its_rate_a_key_is_told_when_to_come_back(guarded: Guarded) -> None:
    replies = [ask(guarded.gate, headers={"X-API-Key": ALICE}) for _ in range(3)]

    assert [reply.status for reply in replies] == [200, 200, 429]
    assert replies[-1].headers["retry-after"] == "1"
    assert "2 requests per second" in json.loads(replies[-1].body)["error"]
    assert ask(guarded.gate, headers={"X-API-Key": BOB}).status == 200
    guarded.clock.passes(1)
    assert ask(guarded.gate, headers={"X-API-Key": ALICE}).status == 200


def test_attempts_without_a_key_are_bounded_and_hinder_nobody_with_one(guarded: Guarded) -> None:
    for _ in range(int(REFUSED_RATE)):
        assert ask(guarded.gate).status == 401
    refused = ask(guarded.gate)

    assert (429, "1") == (refused.status, refused.headers["retry-after"])
    assert ask(guarded.gate, headers={"X-API-Key": BOB}).status == 200
    assert ask(guarded.gate, client=("192.0.2.7", 1)).status == 401


def test_all_addresses_of_an_ipv6_network_count_as_one(guarded: Guarded) -> None:
    attempts = [ask(guarded.gate, client=(f"2001:db8::{number:x}", 1)).status for number in range(12)]

    assert attempts[9:] == [401, 429, 429]
    assert ask(guarded.gate, client=("2001:db8:0:1::1", 1)).status == 401
    assert ask(guarded.gate, client=None).status == 401
