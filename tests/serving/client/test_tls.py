"""Both clients over TLS, with and without a certificate of their own."""

import grpc
import pytest

from serving.errors import UnreachableError
from serving.fleet.fleet import parse_fleet
from serving.tls import Tls
from tests.certificates import Authority
from tests.serving.client.conftest import MakeClient
from tests.serving.client.servers import SmallServer
from tests.serving.client.test_clients import X


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def server(authority: Authority, *, asks_clients: bool = False) -> SmallServer:
    ca = authority.pem if asks_clients else None
    credentials = grpc.ssl_server_credentials([authority.issue("server")], ca, require_client_auth=asks_clients)
    return SmallServer(credentials=credentials, with_health=True)


def test_tls_with_the_servers_authority(make_client: MakeClient, authority: Authority) -> None:
    with server(authority) as one, make_client(parse_fleet(one.address, tls=Tls(ca=authority.pem))) as client:
        assert one.address == client.predict("m", X).address


def test_mtls_with_a_certificate_of_the_client(make_client: MakeClient, authority: Authority) -> None:
    key, certificate = authority.issue("client")
    tls = Tls(ca=authority.pem, certificate=certificate, key=key)
    with server(authority, asks_clients=True) as one, make_client(parse_fleet(one.address, tls=tls)) as client:
        assert one.address == client.predict("m", X).address


@pytest.mark.parametrize("wrong", ["no TLS", "another authority", "no certificate"])
def test_who_is_not_let_in_gets_an_error_with_the_address(
    make_client: MakeClient, authority: Authority, wrong: str
) -> None:
    tls = {"no TLS": None, "another authority": Tls(ca=Authority().pem), "no certificate": Tls(ca=authority.pem)}[wrong]
    with (
        server(authority, asks_clients=True) as one,
        make_client(parse_fleet(one.address, tls=tls), timeout=9) as client,
        pytest.raises(UnreachableError, match=one.address),
    ):
        client.predict("m", X)

    assert 0 == one.requests
