"""What a replica's answers and refusals become on our side, asked over a real connection."""

import socket

import grpc
import numpy as np
import pytest

from serving import errors
from serving.canary import question
from serving.errors import ConnectionLostError, NotServedError, RefusedError, ServingError, UnreachableError
from serving.grpc_replica import GrpcReplica
from serving.questions import Golden, Labelled, Questions
from serving.signature import inputs_of
from tests.fleet import LABELS, Classifier
from tests.ports import free_port
from tests.released import start_released
from tests.releases import IMAGES, MODEL, World


def image(content: bytes) -> dict[str, np.ndarray]:
    return inputs_of([content])


def questions(**changes: object) -> Questions:
    answers = [Classifier().answer(each) for each in IMAGES]
    values: dict[str, object] = {
        "model": MODEL,
        "version": 1,
        "serving": None,
        "golden": [Golden(i, label.decode(), tuple(p)) for i, (p, label) in zip(IMAGES, answers, strict=True)],
        "fresh": [Labelled(each, each[:1].decode()) for each in IMAGES],
        "labels": LABELS,
        "serving_labels": LABELS,
        "tolerance": 0.001,
        "latency_rounds": 3,
    }
    return Questions(**(values | changes))  # type: ignore[arg-type]


def test_answers_name_the_version_that_gave_them(world: World) -> None:
    start_released(world, 1)
    with GrpcReplica(world.replicas[0].address, timeout=2) as replica:
        answer = replica.predict(MODEL, image(b"2 x"), label="stable")

        assert 1 == answer.version
        assert [b"2"] == answer.outputs["label"].tolist()
        assert [1] == [status.version for status in replica.statuses(MODEL) if status.available]


def test_refusals_become_our_errors_with_the_servers_words(world: World) -> None:
    start_released(world, 1)
    with GrpcReplica(world.replicas[0].address, timeout=2) as replica:
        with pytest.raises(NotServedError, match=r"Servable not found for request: Specific\(digits, 9\)"):
            replica.predict(MODEL, image(b"1"), version=9)
        with pytest.raises(NotServedError, match="Unrecognized servable version label: best"):
            replica.predict(MODEL, image(b"1"), label="best")
        with pytest.raises(RefusedError, match="Unknown image file format"):
            replica.predict(MODEL, image(b"no digit"), version=1)
        assert replica.status(MODEL, 9) is None
        assert replica.version_behind(MODEL, "best") is None
        assert replica.version_behind("cats", None) is None


def test_without_a_label_the_highest_version_that_is_loaded_is_behind_it(world: World) -> None:
    """A candidate, before the label moves to it."""
    start_released(world, 1)
    world.publish("retrain-2")
    world.run("canary", "retrain-2")
    with GrpcReplica(world.replicas[0].address, timeout=2) as replica:
        assert 1 == replica.version_behind(MODEL, "stable")
        assert 2 == replica.version_behind(MODEL, None)


def test_a_replica_that_is_away_is_unreachable() -> None:
    with GrpcReplica("127.0.0.1:9", timeout=1) as replica, pytest.raises(UnreachableError, match="no connection"):
        replica.statuses(MODEL)


@pytest.mark.parametrize("code", list(grpc.StatusCode))
def test_every_status_becomes_one_of_our_errors(code: grpc.StatusCode) -> None:
    """Nothing of gRPC leaks past the border."""

    class Refusal(grpc.RpcError):
        def code(self) -> grpc.StatusCode:
            return code

        def details(self) -> str:
            return "the server's words"

    with pytest.raises(ServingError, match="the server's words"), errors.translated("a:1"):
        raise Refusal


def test_a_canary_reports_what_was_asked_and_answered(world: World) -> None:
    start_released(world, 2)
    with GrpcReplica(world.replicas[0].address, timeout=2) as replica:
        report = question(replica, questions(version=2, serving=1))

    assert ({2}, 12, 0) == (report.answered_by, report.golden_asked, report.golden_wrong)
    assert () == report.label_problems
    assert (12, 12, 12) == (report.fresh_asked, report.fresh_right, report.fresh_right_serving)
    assert report.latency_ms > 0
    assert report.latency_ms_serving is not None


def test_an_answer_with_a_label_at_another_index_is_named(world: World) -> None:
    start_released(world, 2)
    with GrpcReplica(world.replicas[0].address, timeout=2) as replica:
        report = question(replica, questions(version=2, serving=1, labels=("0", "1", "3"), serving_labels=LABELS))

    assert (
        "v2 answers 4 probabilities for 3 labels",
        "v2 answers '2' at index 2, where '3' was approved",
        "v2 answers '3' at index 3, where no label was approved",
    ) == report.label_problems


def test_what_serves_is_not_asked_about_images_of_which_it_knows_no_label(world: World) -> None:
    start_released(world, 2)
    with GrpcReplica(world.replicas[0].address, timeout=2) as replica:
        report = question(replica, questions(version=2, serving=1, serving_knows_fresh=False))

    assert (12, 12, None) == (report.fresh_asked, report.fresh_right, report.fresh_right_serving)
    assert report.latency_ms_serving is not None


def test_a_right_label_with_other_probabilities_is_still_a_wrong_golden_answer(world: World) -> None:
    start_released(world, 1)
    golden = [Golden(IMAGES[0], "0", (0.6, 0.2, 0.1, 0.1))]
    with GrpcReplica(world.replicas[0].address, timeout=2) as replica:
        report = question(replica, questions(golden=golden))

    assert 1 == report.golden_wrong
    assert 0.1 == pytest.approx(report.golden_error, abs=1e-6)


def test_a_replica_that_does_not_answer_is_reported_not_raised() -> None:
    with GrpcReplica("127.0.0.1:9", timeout=1) as replica:
        report = question(replica, questions())

    assert report.unreachable
    assert "no connection" in report.problem


def test_a_server_that_does_not_answer_is_silent_for_as_long_as_the_last_request_has_waited() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        with GrpcReplica(address, timeout=0.3) as replica:
            report = question(replica, questions())

    assert report.unreachable
    assert 0.25 < report.silent_seconds


def test_a_port_on_which_nobody_listens_is_a_lost_connection() -> None:
    with GrpcReplica(f"127.0.0.1:{free_port()}", timeout=2) as replica, pytest.raises(ConnectionLostError):
        replica.statuses(MODEL)


@pytest.mark.parametrize("silent", ["a server that hangs", "a name without an address"])
def test_silence_is_no_lost_connection(silent: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        port = hanging.getsockname()[1]
        address = f"127.0.0.1:{port}" if silent == "a server that hangs" else f"no-such-host.invalid:{port}"
        with GrpcReplica(address, timeout=2) as replica, pytest.raises(UnreachableError) as error:
            replica.statuses(MODEL)

    assert not isinstance(error.value, ConnectionLostError)
