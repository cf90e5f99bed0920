"""What both clients do with replicas that come, go, hang and are killed."""

import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from serving.client import discovery
from serving.errors import (
    ConnectionLostError,
    DiscoveryError,
    NotServedError,
    RefusedError,
    ServerFaultError,
    UnreachableError,
)
from serving.fleet.fleet import Group, GroupedFleet, parse_fleet
from serving.replica import Answer
from serving.signature import inputs_of
from tests.fleet import RunningReplica, write_classifier
from tests.hunts import hunt
from tests.ports import free_port
from tests.releases import IMAGES, MODEL
from tests.serving.client.conftest import AnyClient, MakeClient
from tests.serving.client.servers import SmallServer, doubled, eventually, server_processes

X = {"x": np.array([1.5, 2.0], np.float32)}


class Listed:
    """A source whose list a test changes; see `serving.fleet.source.Source`."""

    uri = "test://"
    size = None

    def __init__(self, *members: str) -> None:
        self.members: Sequence[str] = members
        self.failure = ""
        self.asked = 0

    def too_few(self, found: int) -> str:
        return f"Start more than {found}"

    def addresses(self) -> Sequence[str]:
        self.asked += 1
        if self.failure:
            raise DiscoveryError(self.failure)
        return self.members


def fleet_of(source: Listed) -> GroupedFleet:
    return GroupedFleet((Group("main", source, 1),))


def ask(client: AnyClient, count: int = 1) -> list[Answer]:
    return [client.predict("m", X) for _ in range(count)]


def shares(answers: Sequence[Answer]) -> dict[str, int]:
    return dict(Counter(answer.address for answer in answers))


@contextmanager
def load(client: AnyClient, threads: int = 4) -> Iterator[list[Answer]]:
    """Requests from some threads while the block runs; after it, a failure of any is raised."""
    answers: list[Answer] = []
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            answers.append(client.predict("m", X))

    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(run) for _ in range(threads)]
        try:
            yield answers
        finally:
            stop.set()
        for each in running:
            each.result()


def wait_for_answers(answers: list[Answer], count: int, address: str | None = None) -> None:
    """Return when so many further answers have come (from this replica)."""
    before = len(answers)
    eventually(lambda: sum(address in (None, answer.address) for answer in answers[before:]) >= count)


def test_replicas_answer_in_turn_and_answers_name_them(make_client: MakeClient) -> None:
    with SmallServer() as one, SmallServer() as other, make_client(parse_fleet(f"{one.address},{other.address}")) as c:
        ask(c)
        eventually(lambda: 2 == len(shares(ask(c, 2))))
        answers = ask(c, 10)

    assert {one.address: 5, other.address: 5} == shares(answers)
    assert [3.0, 4.0] == answers[0].outputs["y"].tolist()
    assert 1 == answers[0].version


@pytest.mark.parametrize(
    ("code", "details", "error"),
    [
        (grpc.StatusCode.UNAVAILABLE, "full", UnreachableError),
        (grpc.StatusCode.NOT_FOUND, "no such version", NotServedError),
        (grpc.StatusCode.INVALID_ARGUMENT, "Unrecognized servable version label: stable", NotServedError),
        (grpc.StatusCode.INVALID_ARGUMENT, "no digit", RefusedError),
        (grpc.StatusCode.INTERNAL, "a bug", ServerFaultError),
    ],
)
def test_only_what_another_replica_may_answer_is_asked_again(
    make_client: MakeClient, code: grpc.StatusCode, details: str, error: type[Exception]
) -> None:
    def refuse(_: Any, context: grpc.ServicerContext) -> Any:
        context.abort(code, details)

    with (
        SmallServer() as one,
        SmallServer() as other,
        make_client(parse_fleet(f"{one.address},{other.address}")) as client,
    ):
        eventually(lambda: 2 == len(shares(ask(client, 2))))
        one.handle = other.handle = refuse
        before = one.requests + other.requests
        with pytest.raises(error, match=details):
            client.predict("m", X)

        again = error in (UnreachableError, NotServedError)
        assert before + (2 if again else 1) == one.requests + other.requests


def test_a_version_may_be_asked_for_by_number(make_client: MakeClient) -> None:
    asked = []

    def answered(request: Any, context: grpc.ServicerContext) -> Any:
        asked.append((request.model_spec.name, request.model_spec.version.value, request.model_spec.version_label))
        reply = doubled(request, context)
        reply.model_spec.version.value = request.model_spec.version.value
        return reply

    with SmallServer(answered) as server, make_client(parse_fleet(server.address)) as client:
        assert 7 == client.predict("cats", X, version=7).version
        client.predict("m", X)

    assert [("cats", 7, ""), ("m", 0, "stable")] == asked


def test_no_request_fails_when_a_replica_is_killed_and_started_again(make_client: MakeClient) -> None:
    with server_processes(2) as (one, other):
        fleet = parse_fleet(f"{one.address},{other.address}")
        with make_client(fleet, timeout=30) as client, load(client) as answers:
            wait_for_answers(answers, 20, one.address)
            one.kill()
            wait_for_answers(answers, 100)
            one.start()
            wait_for_answers(answers, 20, one.address)


@hunt
def test_no_request_fails_when_a_replica_hangs_and_only_the_first_touch_it(make_client: MakeClient) -> None:
    """A process that is stopped still accepts connections; it answers when it is continued."""
    with server_processes(2) as (one, other):
        fleet = parse_fleet(f"{one.address},{other.address}")
        with make_client(fleet, timeout=6) as client, load(client) as answers:
            wait_for_answers(answers, 20, one.address)
            one.send(signal.SIGSTOP)
            wait_for_answers(answers, 200)
            one.send(signal.SIGCONT)
            wait_for_answers(answers, 20, one.address)


def test_a_replica_that_stops_answering_predictions_gets_few_of_them(make_client: MakeClient) -> None:
    """Its connection and its health are good: only requests show it."""
    over = threading.Event()

    def hang(*_: object) -> Any:
        over.wait()

    with (
        SmallServer() as one,
        SmallServer() as other,
        make_client(parse_fleet(f"{one.address},{other.address}"), timeout=3) as client,
    ):
        eventually(lambda: 2 == len(shares(ask(client, 2))))
        one.handle, before = hang, one.requests
        answers = ask(client, 100)
        touched = one.requests - before
        over.set()

    assert {other.address: 100} == shares(answers)
    assert 1 <= touched <= 3


def test_a_replica_that_was_hung_from_the_start_delays_nobody(make_client: MakeClient) -> None:
    """It is listed, and its port accepts connections; no request is sent to it."""
    with SmallServer() as good, server_processes(1) as (hung,):
        hung.send(signal.SIGSTOP)
        with make_client(parse_fleet(f"{hung.address},{good.address}"), timeout=60) as client:
            answers = ask(client, 20)

    assert {good.address: 20} == shares(answers)


def test_a_replica_that_is_down_is_reported_by_its_address(make_client: MakeClient) -> None:
    address = f"127.0.0.1:{free_port()}"
    with make_client(parse_fleet(address)) as client, pytest.raises(ConnectionLostError, match=address):
        client.predict("m", X)


def test_a_lone_replica_that_was_restarted_answers(make_client: MakeClient) -> None:
    with server_processes(1) as (server,), make_client(parse_fleet(server.address)) as client:
        ask(client)
        server.kill()
        server.start()

        assert {server.address: 1} == shares(ask(client))


def config(folder: Path, text: str) -> None:
    draft = folder / "draft"
    draft.write_text(
        f'model_config_list {{ config {{ name: "{MODEL}" base_path: "{folder / MODEL}" '
        f'model_platform: "tensorflow" {text} }} }}'
    )
    draft.replace(folder / "models.config")


def test_no_request_fails_while_a_replica_does_not_have_the_label_yet(make_client: MakeClient, tmp_path: Path) -> None:
    """...and after it has, it gets its share. The replicas are embedded servers."""
    write_classifier(tmp_path / MODEL / "1")
    with ExitStack() as stack:
        replicas = []
        for name in ("one", "other"):
            folder = tmp_path / name
            folder.mkdir()
            (folder / MODEL).symlink_to(tmp_path / MODEL)
            config(folder, "")
            replicas.append(RunningReplica(folder / "models.config"))
            replicas[-1].start()
            stack.callback(replicas[-1].stop)
        one, other = replicas
        client = stack.enter_context(make_client(parse_fleet(f"{one.address},{other.address}")))
        with pytest.raises(NotServedError, match="Unrecognized servable version label: stable"):
            client.predict(MODEL, inputs_of(IMAGES[:1]))
        config(tmp_path / "one", 'version_labels { key: "stable" value: 1 }')
        eventually(lambda: _serves(client))
        answers = [client.predict(MODEL, inputs_of(IMAGES[:1])) for _ in range(10)]
        config(tmp_path / "other", 'version_labels { key: "stable" value: 1 }')
        eventually(lambda: other.address == client.predict(MODEL, inputs_of(IMAGES[:1])).address)

    assert {one.address: 10} == shares(answers)


def _serves(client: AnyClient) -> bool:
    try:
        client.predict(MODEL, inputs_of(IMAGES[:1]))
    except NotServedError:
        return False
    return True


def test_replicas_are_added_and_removed_while_requests_run(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "REFRESH_SECONDS", 0.05)
    with SmallServer() as one, SmallServer() as other:
        source = Listed(one.address)
        with make_client(fleet_of(source), timeout=30) as client, load(client) as answers:
            wait_for_answers(answers, 20, one.address)
            source.members = (one.address, other.address)
            wait_for_answers(answers, 20, other.address)
            source.members = (other.address,)
            asked = source.asked
            eventually(lambda: source.asked > asked + 1)
            before = one.requests
            wait_for_answers(answers, 100)
            after = one.requests

    assert before == after


def test_a_list_that_fails_or_is_empty_leaves_the_last_one_in_use(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once, until the source gives a list again."""
    monkeypatch.setattr(discovery, "REFRESH_SECONDS", 0.01)
    with SmallServer() as server:
        source = Listed(server.address)
        with make_client(fleet_of(source)) as client:
            ask(client)
            for source.failure, source.members in [("no answer from the source", [server.address]), ("", [])]:
                asked = source.asked
                eventually(lambda: source.asked > asked + 3)  # noqa: B023 - called here
                ask(client)
            warnings = [each.message for each in caplog.records if each.levelname == "WARNING"]

    assert ["no answer from the source. The last list of replicas stays in use; asking again"] == warnings


def test_without_any_list_a_request_raises_why_and_a_later_one_asks_again(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "SHORTEST_SECONDS", 0.05)
    with SmallServer() as server:
        source = Listed()
        with make_client(fleet_of(source)) as client:
            with pytest.raises(DiscoveryError, match="only 0 of 1 replicas are listed by test://"):
                client.predict("m", X)
            source.failure = "no answer from the source"
            with pytest.raises(DiscoveryError, match="no answer from the source"):
                client.predict("m", X)
            source.failure, source.members = "", [server.address]

            assert {server.address: 1} == shares(ask(client))


def test_a_source_that_does_not_answer_takes_no_more_than_its_part_of_the_time(make_client: MakeClient) -> None:
    over = threading.Event()

    class Silent(Listed):
        def addresses(self) -> Sequence[str]:
            over.wait()
            return ["127.0.0.1:9"]

    with make_client(fleet_of(Silent()), timeout=0.3) as client:
        with pytest.raises(DiscoveryError, match="which replicas exist is not known"):
            client.predict("m", X)
        over.set()


def test_a_connection_error_asks_for_a_new_list(make_client: MakeClient) -> None:
    """A replica that has moved is found long before the next refresh."""
    with SmallServer() as one, SmallServer() as other:
        source = Listed(one.address)
        with make_client(fleet_of(source)) as client:
            ask(client)
            source.members = [other.address]
            one.stop()
            eventually(lambda: _answered_by(client, other.address))


def _answered_by(client: AnyClient, address: str) -> bool:
    try:
        return address == client.predict("m", X).address
    except UnreachableError:
        return False


def test_closing_waits_for_requests_and_refuses_new_ones(make_client: MakeClient) -> None:
    arrived, gate = threading.Event(), threading.Event()

    def slow(request: Any, context: grpc.ServicerContext) -> Any:
        arrived.set()
        gate.wait()
        return doubled(request, context)

    with (
        SmallServer(slow) as server,
        make_client(parse_fleet(server.address), timeout=60) as client,
        ThreadPoolExecutor(2) as pool,
    ):
        answer = pool.submit(client.predict, "m", X)
        assert arrived.wait(30)
        closed = pool.submit(client.close)
        eventually(lambda: _refuses(client))
        assert not closed.done()
        gate.set()

        assert server.address == answer.result().address
        closed.result()


def test_a_client_that_was_closed_before_its_first_request_says_so(make_client: MakeClient) -> None:
    with make_client(parse_fleet("127.0.0.1:9")) as client:
        client.close()
        client.close()

        assert _refuses(client)


def _refuses(client: AnyClient) -> bool:
    try:
        client.predict("m", X, version=1)
    except RuntimeError as error:
        return "the client is closed" in str(error)
    return False
