"""`profile` of a server that runs: its table, its files, and how it ends."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from pipeline.errors import ExitCode
from tests.pipeline.asking.classifiers import model_server
from tests.pipeline.cli.in_process import Done, command
from tests.pipeline.cli.test_classify import environment
from tests.ports import free_port
from tests.serving.client.servers import SmallServer

__all__ = ["environment"]

QUICK = ("--seconds", "0.1", "--batch-sizes", "1,4", "--concurrency", "1,2", "--rates", "20")


@pytest.fixture(scope="module")
def asked() -> list[bytes]:
    return []


@pytest.fixture(scope="module")
def server(asked: list[bytes]) -> Iterator[SmallServer]:
    with model_server(asked) as running:
        yield running


@pytest.fixture
def profile(monkeypatch: pytest.MonkeyPatch) -> Any:
    def run(*words: object) -> Done:
        return command(monkeypatch, "profile", "--model", "pets", *map(str, words))

    return run


def test_a_running_server_is_measured_as_it_is(
    profile: Any, server: SmallServer, asked: list[bytes], tmp_path: Path
) -> None:
    table, picture = tmp_path / "p.csv", tmp_path / "p.png"
    done = profile("--server", server.address, *QUICK, "--csv", table, "--plot", picture)
    rows = list(csv.DictReader(table.read_text().splitlines()))

    assert 0 == done.code, done.err
    assert "pets: at most 5 points of 0.1 s, 1 s" in done.err
    assert f"pets v3 on {server.address}; latencies in ms" in done.out
    assert "server-side batching on and off were not compared" in done.out
    assert "max_batch_size { value: 4 }" in done.out
    assert [
        ("closed", "1", "1"),
        ("closed", "1", "2"),
        ("closed", "4", "1"),
        ("closed", "4", "2"),
        ("open", "1", "0"),
    ] == [(row["loop"], row["batch"], row["concurrency"]) for row in rows]
    assert {"unknown"} == {row["batching"] for row in rows}
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert {b"\xff\xd8"} == {image[:2] for image in asked}


def test_json_has_every_measurement_and_the_choice(profile: Any, server: SmallServer) -> None:
    done = profile("--server", server.address, *QUICK, "--concurrency", 1, "--json", "--version", "v3")
    found = json.loads(done.out)

    assert 0 == done.code, done.err
    assert ("pets", 3, True, 3) == (found["model"], found["version"], found["complete"], len(found["measurements"]))
    assert found["batching_parameters"].startswith("max_batch_size")


def test_nothing_listens_there(profile: Any) -> None:
    done = profile("--server", f"127.0.0.1:{free_port()}", *QUICK)

    assert ExitCode.COULD_NOT_TELL == done.code
    assert "Check that a model server listens there" in done.err


def test_a_server_that_refuses_the_images_is_not_taken_for_one_that_does_not_answer(profile: Any) -> None:
    """...such as one without version labels."""

    def handle(_: Any, context: grpc.ServicerContext) -> Any:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "Unrecognized servable version label: stable")

    with SmallServer(handle) as server:
        done = profile("--server", server.address, *QUICK)

    assert ExitCode.FAILED == done.code
    assert "If the server has no labels, name a version with --version, or set UNDERSTUDY_ROLLOUT=latest" in done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--batch-sizes", "512"], "--batch-sizes '512': '512' is not a whole number from 1 to 256"),
        (["--concurrency", "33"], "is not a whole number from 1 to 32"),
        (["--rates", "fast"], "--rates 'fast'"),
        (["--seconds", "60"], "59 points of 60 s take 59.5 minutes, and --minutes is 10"),
        (["--csv", "/none/p.csv"], "/none/p.csv cannot be written"),
        (["--images", "/none"], "--images /none has no image that can be used"),
        (["--server", "a:1,b:2"], "--server names 2 servers; name one"),
        (["--batching-parameters", "/none"], "leave --server out"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(profile: Any, words: list[str], message: str) -> None:
    done = profile("--server", "a:1", *words)

    assert ExitCode.FAILED == done.code
    assert message in done.err


def test_a_model_without_a_release_cannot_be_measured_here(profile: Any) -> None:
    done = profile(*QUICK)

    assert ExitCode.FAILED == done.code
    assert "the model 'pets' does not exist" in done.err
