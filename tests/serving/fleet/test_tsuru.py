"""`tsuru://`: the units of an app, from a server that speaks the Tsuru API."""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest

from serving.errors import DiscoveryError
from serving.fleet.fleet import parse_fleet
from serving.fleet.sources import parse_source
from serving.fleet.tsuru import TsuruSource
from tests.ports import free_port
from tests.tsuru_api import TOKEN, TsuruApi, unit


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[TsuruApi]:
    units = [
        unit("digits-web-1", ip="10.0.0.9"),
        unit("digits-web-2", ip="10.0.0.10", status="starting"),
        unit("digits-worker-1", ip="10.0.0.11", process="worker"),
    ]
    with TsuruApi({"digits": units, "empty": []}) as running:
        monkeypatch.setenv("TSURU_TARGET", running.target)
        monkeypatch.setenv("TSURU_TOKEN", TOKEN)
        yield running


def addresses(text: str) -> set[str]:
    return set(parse_source(text).addresses())


def refused(problem: str) -> AbstractContextManager[pytest.ExceptionInfo[DiscoveryError]]:
    return pytest.raises(DiscoveryError, match=re.escape(problem))


@pytest.mark.usefixtures("api")
def test_the_units_of_a_process_are_the_replicas() -> None:
    assert {"10.0.0.9:8500", "10.0.0.10:8500"} == addresses("tsuru://digits/web")


@pytest.mark.usefixtures("api")
def test_without_a_process_every_unit_of_the_app_is_one() -> None:
    assert {"10.0.0.9:8500", "10.0.0.10:8500", "10.0.0.11:8500"} == addresses("tsuru://digits")


@pytest.mark.usefixtures("api")
def test_the_port_may_be_another_one() -> None:
    assert {"10.0.0.11:9000"} == addresses("tsuru://digits/worker:9000")


def test_every_call_asks_anew(api: TsuruApi) -> None:
    addresses("tsuru://digits/web")
    api.apps = {"digits": [unit("digits-web-3", ip="10.0.0.12")]}

    assert {"10.0.0.12:8500"} == addresses("tsuru://digits/web")


@pytest.mark.parametrize("status", ["created", "building", "stopped", "succeeded"])
def test_a_unit_that_does_not_run_is_no_replica(api: TsuruApi, status: str) -> None:
    api.apps = {"digits": [unit("digits-web-1", ip="10.0.0.9", status=status)]}

    assert set() == addresses("tsuru://digits")


@pytest.mark.parametrize("status", ["starting", "error", "started"])
def test_a_unit_that_runs_or_comes_up_again_is_a_replica(api: TsuruApi, status: str) -> None:
    api.apps = {"digits": [unit("digits-web-1", ip="10.0.0.9", status=status)]}

    assert {"10.0.0.9:8500"} == addresses("tsuru://digits")


def test_a_unit_without_an_address_yet_is_left_out(api: TsuruApi) -> None:
    api.apps = {"digits": [unit("digits-web-1", ip="", status="starting")]}

    assert set() == addresses("tsuru://digits")


def test_a_unit_with_a_port_of_its_host_is_asked_there(api: TsuruApi) -> None:
    """Provisioners without Kubernetes give each unit a port of its machine."""
    api.apps = {"digits": [unit("1", ip="", HostAddr="192.0.2.7", HostPort="32768")]}

    assert {"192.0.2.7:32768"} == addresses("tsuru://digits")


def test_ipv6_is_written_in_brackets(api: TsuruApi) -> None:
    api.apps = {"digits": [unit("1", ip="fd00::9")]}

    assert {"[fd00::9]:8500"} == addresses("tsuru://digits")


@pytest.mark.usefixtures("api")
def test_too_few_units_say_how_to_start_more() -> None:
    """F31: no addresses are no replicas, and never a pass."""
    fleet = parse_fleet("tsuru://empty/web", expected=2)

    assert (
        "only 0 of 2 replicas are listed by tsuru://empty/web. See `tsuru app info --app empty`. To start more: "
        "`tsuru unit add 1 --app empty --process web`"
    ) == fleet.shortfall(fleet.fresh_addresses())


@pytest.mark.usefixtures("api")
def test_an_app_that_does_not_exist() -> None:
    with refused("answered 404. There is no such app. Check its name"):
        addresses("tsuru://letters")


@pytest.mark.usefixtures("api")
def test_a_wrong_token_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """F68: no secret comes into a message."""
    monkeypatch.setenv("TSURU_TOKEN", "another-secret")

    with refused("answered 401. The token is missing, wrong or expired") as refusal:
        addresses("tsuru://digits")
    assert "another-secret" not in str(refusal.value)


@pytest.mark.usefixtures("api")
def test_without_a_token_nothing_is_asked(api: TsuruApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TSURU_TOKEN")

    with refused("TSURU_TOKEN is not set. Set it to a token that may read the app digits"):
        addresses("tsuru://digits")
    assert [] == api.asked


@pytest.mark.parametrize("target", ["", "tsuru.example.com", "file:///etc/passwd"])
def test_a_target_that_is_no_address(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSURU_TARGET", target)
    monkeypatch.setenv("TSURU_TOKEN", TOKEN)

    with refused("Set it to the address of the Tsuru API"):
        addresses("tsuru://digits")


@pytest.mark.parametrize("content", [b"<html>", b"[]", b"{}", b'{"units": [{"Name": "no process"}]}'])
def test_something_else_that_answers_there(api: TsuruApi, content: bytes) -> None:
    api.answer = (200, content)

    with refused("did not answer as a Tsuru API does. Check TSURU_TARGET"):
        addresses("tsuru://digits/web")


def test_a_failing_api(api: TsuruApi) -> None:
    api.answer = (503, b"")

    with refused("answered 503. Read the log of the Tsuru API"):
        addresses("tsuru://digits")


def test_an_api_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSURU_TARGET", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("TSURU_TOKEN", TOKEN)

    with pytest.raises(DiscoveryError, match=r"gave no answer \(.*Connection refused\). Check TSURU_TARGET"):
        addresses("tsuru://digits")


@pytest.mark.parametrize("text", ["tsuru://digits", "tsuru://digits/web", "tsuru://digits/web:9000", "tsuru://a:9000"])
def test_the_address_of_a_source_is_read_as_it_is_written(text: str) -> None:
    assert text == parse_source(text).uri


def test_the_usual_port_is_not_written() -> None:
    assert "tsuru://digits/web" == TsuruSource("digits", "web", 8500).uri


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "'' is not the name of an app"),
        ("Digits", "'Digits' is not the name of an app"),
        ("digits/", "'' is not the name of a process"),
        ("digits/a/b", "'a/b' is not the name of a process"),
        ("digits:grpc", "'grpc' is not a port"),
        ("digits:0", "'0' is not a port"),
        ("digits:", "'' is not a port"),
    ],
)
def test_a_malformed_address_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=f"tsuru://{text}: {problem}; expected tsuru://app"):
        parse_source(f"tsuru://{text}")
