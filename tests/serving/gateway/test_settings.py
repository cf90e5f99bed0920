"""What a gateway may be started with: `python -m serving.gateway`."""

from pathlib import Path

import pytest

from serving.gateway.__main__ import main, parser, settings_of
from serving.gateway.settings import Settings, SettingsError
from serving.replica import STABLE

DIGITS = "--model=digits=127.0.0.1:8500,127.0.0.1:8510"


def settings(*words: str) -> Settings:
    return settings_of(parser().parse_args(words))


def test_several_models_each_have_a_fleet_and_a_label_unless_their_servers_have_none() -> None:
    found = settings(DIGITS, "--model=pets=dns://pets:8500", "--latest=pets")

    assert [("digits", STABLE, 2), ("pets", None, 1)] == [
        (model.name, model.label, model.fleet.expected) for model in found.models
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no model is named: add --model NAME=SOURCE"),
        (["--model=digits"], "--model 'digits' is not NAME=SOURCE"),
        (["--model=../etc=127.0.0.1:1"], "is not NAME=SOURCE, where NAME fits [a-z]"),
        (["--model=digits=nowhere"], "--model digits: "),
        (["--model=digits=ftp://x:1"], "ftp:// is not a known source"),
        ([DIGITS, DIGITS], "--model digits is given twice"),
        ([DIGITS, "--latest=pets"], "--latest pets: no --model has that name"),
        ([DIGITS, "--host=0.0.0.0"], "can be reached from other machines, so --keys FILE is needed"),
        ([DIGITS, "--host=::"], "can be reached from other machines"),
        ([DIGITS, "--host=example.com"], "can be reached from other machines"),
        ([DIGITS, "--images=0"], "--images 0 is not more than 0"),
        ([DIGITS, "--seconds=-1"], "--seconds -1.0 is not more than 0"),
        ([DIGITS, "--pixels=999999999"], "--pixels 999999999 is not between 1 and"),
        ([DIGITS, "--tls-server-name=x"], "--tls-server-name needs --tls-ca"),
        ([DIGITS, "--tls-ca=/no/such.pem"], "/no/such.pem cannot be read"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """...before anything listens."""
    assert 2 == main(words)

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("--seconds=nan", "--seconds nan is not more than 0 and finite"),
        ("--body-seconds=inf", "--body-seconds inf is not more than 0 and finite"),
        ("--port=-1", "--port -1 is not between 1 and 65535"),
        ("--port=0", "--port 0 is not between 1 and 65535"),
        ("--metrics-port=0", "--metrics-port 0 is not between 1 and 65535"),
        ("--metrics-port=70000", "--metrics-port 70000 is not between 1 and 65535"),
        ("--metrics-port=8090", "--metrics-port 8090 is the port of the gateway too"),
    ],
)
def test_a_number_that_is_none_or_a_port_that_cannot_be_is_refused(word: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        settings(DIGITS, word)


def test_a_client_certificate_needs_its_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ca.pem").write_text("x")

    assert 2 == main([DIGITS, f"--tls-ca={tmp_path / 'ca.pem'}", f"--tls-certificate={tmp_path / 'ca.pem'}"])
    assert "given together or not at all" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_on_loopback_no_keys_are_needed(host: str) -> None:
    assert host == settings(DIGITS, f"--host={host}").host
