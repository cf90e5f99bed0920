"""TLS by `--ssl_config_file`: who is let in, and what a bad file is answered with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import text_format

from serving.model_server.grpc.tls import SSLConfig
from serving.status import StatusError
from tests.certificates import Authority
from tests.ports import free_port
from tests.serving.model_server.running import answers, running

Write = Callable[..., str]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write an SSLConfig with these fields and say the flag that names it."""

    def written(**fields: Any) -> str:
        file = tmp_path / "ssl.config"
        file.write_text(text_format.MessageToString(SSLConfig(**fields)))
        return f"--ssl_config_file={file}"

    return written


def secure(port: int, authority: Authority, client: tuple[bytes, bytes] | None = None) -> grpc.Channel:
    key, certificate = client or (None, None)
    made = grpc.ssl_channel_credentials(authority.pem, private_key=key, certificate_chain=certificate)
    return grpc.secure_channel(f"127.0.0.1:{port}", made)


def test_with_a_key_and_a_certificate_only_tls_is_spoken(tmp_path: Path, authority: Authority, write: Write) -> None:
    """Clients need no certificate of their own, even where there is an authority that could sign one."""
    key, certificate = authority.issue("server")
    port = free_port()
    flag = write(server_key=key, server_cert=certificate, custom_ca=authority.pem)
    with running(tmp_path / "m", f"--port={port}", flag):
        with secure(port, authority) as channel:
            assert answers(channel)
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            assert not answers(channel)
        with secure(port, Authority()) as channel:
            assert not answers(channel)


def test_with_client_verify_only_clients_of_the_authority_are_let_in(
    tmp_path: Path, authority: Authority, write: Write
) -> None:
    key, certificate = authority.issue("server")
    port = free_port()
    flag = write(server_key=key, server_cert=certificate, custom_ca=authority.pem, client_verify=True)
    with running(tmp_path / "m", f"--port={port}", flag):
        with secure(port, authority, authority.issue("client")) as channel:
            assert answers(channel)
        with secure(port, authority) as channel:
            assert not answers(channel)
        with secure(port, authority, Authority().issue("stranger")) as channel:
            assert not answers(channel)


@pytest.mark.parametrize("field", ["server_key", "server_cert"])
def test_a_key_or_certificate_that_is_none_is_refused_before_anything_is_loaded(
    tmp_path: Path, authority: Authority, write: Write, field: str
) -> None:
    key, certificate = authority.issue("server")
    fields = {"server_key": key, "server_cert": certificate} | {field: "nonsense"}

    with pytest.raises(StatusError, match="INVALID_ARGUMENT: gRPC refuses the key or a certificate"):
        refused(tmp_path, write(**fields))


def test_verifying_clients_without_an_authority_is_refused(tmp_path: Path, authority: Authority, write: Write) -> None:
    key, certificate = authority.issue("server")
    with pytest.raises(StatusError, match="client_verify without custom_ca"):
        refused(tmp_path, write(server_key=key, server_cert=certificate, client_verify=True))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StatusError, match="NOT_FOUND"):
        refused(tmp_path, f"--ssl_config_file={tmp_path}/none")


def test_a_file_that_does_not_parse_is_not_quoted(tmp_path: Path) -> None:
    """The parser's reason would put the private key into the log."""
    file = tmp_path / "ssl.config"
    file.write_text("server_key: 'SECRET' 'SECRET'x")

    with pytest.raises(StatusError) as refusal:
        refused(tmp_path, f"--ssl_config_file={file}")

    position = "Error parsing text-format tensorflow.serving.SSLConfig: 1:30"
    assert str(refusal.value) == f"INVALID_ARGUMENT: Invalid protobuf file: '{file}' ({position})"
    assert refusal.value.__suppress_context__


def test_alts_away_from_google_cloud_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StatusError, match="ALTS works on Google Cloud only"):
        refused(tmp_path, "--use_alts_credentials")


def refused(tmp_path: Path, flag: str) -> None:
    with running(tmp_path / "m", f"--port={free_port()}", flag):
        pass
