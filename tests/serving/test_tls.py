"""Replicas that speak TLS, asked through a fleet: who is connected, and what a failed handshake says."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format

from serving.errors import UnreachableError
from serving.fleet.fleet import parse_fleet
from serving.model_server.grpc.tls import SSLConfig
from serving.tls import Tls
from tests.certificates import Authority
from tests.ports import free_port
from tests.serving.model_server.running import running


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@contextmanager
def server(folder: Path, **fields: Any) -> Iterator[str]:
    """The address of a model server with this SSLConfig; with no fields, of one that speaks plain text."""
    port, file = free_port(), folder / "ssl.config"
    file.write_text(text_format.MessageToString(SSLConfig(**fields)))
    flags = [f"--ssl_config_file={file}"] if fields else []
    with running(folder / "m", f"--port={port}", *flags):
        yield f"127.0.0.1:{port}"


def ask(address: str, tls: Tls | None) -> None:
    with parse_fleet(address, tls=tls).connect(address, timeout=5.0) as replica:
        replica.statuses("m")


def refusal(address: str, tls: Tls | None) -> str:
    with pytest.raises(UnreachableError) as error:
        ask(address, tls)
    return str(error.value)


def test_a_server_with_tls(tmp_path: Path, authority: Authority) -> None:
    key, certificate = authority.issue("server")
    with server(tmp_path, server_key=key, server_cert=certificate) as address:
        ask(address, Tls(ca=authority.pem))
        ask(address.replace("127.0.0.1", "localhost"), Tls(ca=authority.pem, server_name="127.0.0.1"))

        assert "check that the server uses TLS, and that the CA" in refusal(address, Tls(ca=Authority().pem))
        assert "check that the server uses TLS, and that the CA" in refusal(address, Tls())
        assert "the server's certificate has another name" in refusal(address, Tls(authority.pem, "digits.serving"))
        assert "if it does, check whether it uses TLS" in refusal(address, None)
        assert "check that the CA, the client certificate and its key are PEM" in refusal(address, Tls(ca=b"no PEM"))


def test_a_server_that_asks_for_a_client_certificate(tmp_path: Path, authority: Authority) -> None:
    key, certificate = authority.issue("server")
    fields = {"server_key": key, "server_cert": certificate, "custom_ca": authority.pem, "client_verify": True}
    with server(tmp_path, **fields) as address:
        ask(address, signed_by(authority, authority.pem))

        assert "which client certificates it accepts" in refusal(address, Tls(ca=authority.pem))
        assert "which client certificates it accepts" in refusal(address, signed_by(Authority(), authority.pem))


def test_tls_against_a_server_without_it(tmp_path: Path, authority: Authority) -> None:
    with server(tmp_path) as address:
        assert "check that the server uses TLS" in refusal(address, Tls(ca=authority.pem))


def test_a_certificate_without_its_key_is_refused() -> None:
    with pytest.raises(ValueError, match="together or not at all"):
        Tls(certificate=b"certificate")


def signed_by(authority: Authority, ca: bytes) -> Tls:
    key, certificate = authority.issue("client")
    return Tls(ca=ca, certificate=certificate, key=key)
