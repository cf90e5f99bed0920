"""`dns://`: every address of a name, from a server that speaks DNS."""

import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import dns.resolver
import pytest

from serving.errors import DiscoveryError
from serving.fleet.dns import DnsSource, parse_dns
from serving.fleet.sources import parse_source
from tests.dns_server import DnsServer

NAME = "digits.serving"


@pytest.fixture
def server() -> Iterator[DnsServer]:
    with DnsServer({NAME: ("10.0.0.10", "10.0.0.9")}) as running:
        yield running


def look_up(server: DnsServer, name: str = NAME) -> tuple[str, ...]:
    return tuple(parse_source(server.uri(name, 8500)).addresses())


def use_resolv_conf(monkeypatch: pytest.MonkeyPatch, file: Path, text: str, *, port: int = 53) -> None:
    """Let resolvers read this file, and ask its servers on another port, which the format has no place for."""
    file.write_text(text)

    class Configured(dns.resolver.Resolver):
        def __init__(self, filename: str = str(file), configure: bool = True) -> None:
            super().__init__(filename, configure)
            self.port = port

    monkeypatch.setattr(dns.resolver, "Resolver", Configured)


def test_all_addresses_of_a_name_are_listed_in_numerical_order(server: DnsServer) -> None:
    assert ("10.0.0.9:8500", "10.0.0.10:8500") == look_up(server)


def test_every_call_asks_anew(server: DnsServer) -> None:
    look_up(server)
    server.table[NAME] = ("10.0.0.11",)

    assert ("10.0.0.11:8500",) == look_up(server)


def test_a_replica_with_both_families_is_one_replica(server: DnsServer) -> None:
    server.table[NAME] = ("fd00::1", "10.0.0.9")

    assert ("10.0.0.9:8500",) == look_up(server)


def test_ipv6_is_used_where_there_is_no_ipv4(server: DnsServer) -> None:
    server.table[NAME] = ("fd00::2", "fd00::1")

    assert ("[fd00::1]:8500", "[fd00::2]:8500") == look_up(server)


def test_no_such_name_is_no_address() -> None:
    with DnsServer({}) as server:
        assert () == look_up(server)


def test_no_records_are_no_address(server: DnsServer) -> None:
    server.table[NAME] = ()

    assert () == look_up(server)


def test_hundreds_of_addresses_come_over_tcp(server: DnsServer) -> None:
    every = tuple(str(ip_address("10.0.0.0") + number) for number in range(500))
    server.table[NAME] = every

    assert tuple(f"{each}:8500" for each in every) == look_up(server)
    assert ["UDP", "TCP"] == [transport for transport, _, _ in server.asked]


def test_a_server_that_fails_is_an_error_and_not_an_empty_fleet(server: DnsServer) -> None:
    server.failing = True

    with pytest.raises(DiscoveryError) as error:
        look_up(server)

    assert (
        f"{server.uri(NAME, 8500)} could not be looked up: SERVFAIL from 127.0.0.1 port {server.port}. "
        "Check that DNS server, and that this machine can reach it"
    ) == str(error.value)


def test_a_server_that_is_silent_costs_two_seconds(server: DnsServer) -> None:
    """...and is asked twice, because a datagram may get lost."""
    server.silent = True
    start = time.monotonic()

    with pytest.raises(DiscoveryError, match=rf"no answer from 127\.0\.0\.1 port {server.port}\. Check"):
        look_up(server)

    assert time.monotonic() - start >= 2.0
    assert 2 == len(server.asked)


def test_without_a_resolver_the_message_says_how_to_name_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_resolv_conf(monkeypatch, tmp_path / "resolv.conf", "search serving\n")

    with pytest.raises(DiscoveryError, match=r"resolv\.conf names no DNS server\. Name one there, or in"):
        parse_source(f"dns://{NAME}:8500").addresses()


@pytest.mark.parametrize("name", ["digits", "digits.serving", "digits.serving.svc.cluster.local."])
def test_search_domains_complete_a_name_as_in_a_pod(
    server: DnsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    server.table = {"digits.serving.svc.cluster.local": ("10.0.0.9",)}
    text = "nameserver 127.0.0.1\nsearch serving.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n"
    use_resolv_conf(monkeypatch, tmp_path / "resolv.conf", text, port=server.port)

    assert ("10.0.0.9:8500",) == tuple(parse_source(f"dns://{name}:8500").addresses())


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (DnsSource("digits", 8500), "digits:8500"),
        (DnsSource("digits.serving.", 8500), "/digits.serving.:8500"),
        (DnsSource("digits", 8500, "10.0.0.10"), "10.0.0.10/digits:8500"),
        (DnsSource("digits", 8500, "127.0.0.1", 5353), "127.0.0.1:5353/digits:8500"),
        (DnsSource("digits", 8500, "::1"), "[::1]/digits:8500"),
        (DnsSource("digits", 8500, "::1", 5353), "[::1]:5353/digits:8500"),
    ],
)
def test_an_address_is_read_and_written_again(expected: DnsSource, text: str) -> None:
    assert expected == parse_dns(text)
    assert expected == parse_source(expected.uri)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("'' is not a DNS name; expected dns://name:port", "digits"),
        ("'a..b' is not a DNS name", "a..b:8500"),
        ("'digits serving' is not a DNS name", "digits serving:8500"),
        ("is not a DNS name", f"{'a' * 64}:8500"),
        ("10.0.0.1 is an address, not a name. For fixed addresses use static://", "10.0.0.1:8500"),
        (r"\[::1\] is an address, not a name", "[::1]:8500"),
        ("'http' is not a port", "digits:http"),
        ("'0' is not a port", "digits:0"),
        ("'65536' is not a port", "digits:65536"),
        ("the DNS server 'kube-dns' is not an IP address", "kube-dns/digits:8500"),
        ("the DNS server '::1' is not an IP address", "::1/digits:8500"),
        ("'99999' is not a port", "127.0.0.1:99999/digits:8500"),
    ],
)
def test_a_malformed_address_is_refused(message: str, text: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_source(f"dns://{text}")
