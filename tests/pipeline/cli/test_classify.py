"""`classify`: what it shows, how it ends, and that a key stays secret."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ExitCode
from serving.signature import INPUT
from tests.command import PROJECT
from tests.pictures import encoded, noise
from tests.pipeline.asking.classifiers import classifying, gateway, labelled, model_server
from tests.pipeline.cli.in_process import Done, command
from tests.ports import free_port
from tests.releases import NO_MLFLOW
from tests.serving.client.servers import SmallServer

KEY = "not-a-real-key-0123456789"
# A shell starts background jobs with SIGINT ignored, and processes inherit that. This is `python -m pipeline` without.
INTERRUPTIBLE = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("pipeline", run_name="__main__", alter_sys=True)
"""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three images, one of them as WebP, and a text."""
    folder = tmp_path_factory.mktemp("images")
    (folder / "deep").mkdir()
    (folder / "a.png").write_bytes(encoded(noise(), "PNG"))
    (folder / "b [red].jpg").write_bytes(encoded(noise(), "JPEG"))
    (folder / "deep" / "c.webp").write_bytes(encoded(noise(), "WEBP"))
    return folder


@pytest.fixture(scope="module")
def server() -> Iterator[SmallServer]:
    with model_server() as running:
        yield running


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("UNDERSTUDY_")]:
        monkeypatch.delenv(name)
    (tmp_path / "bucket").mkdir()
    monkeypatch.setenv("UNDERSTUDY_ROOT", str(tmp_path / "bucket"))
    monkeypatch.setenv("UNDERSTUDY_MODELS", str(PROJECT / "models"))
    monkeypatch.setenv("UNDERSTUDY_MLFLOW_URL", NO_MLFLOW)


@pytest.fixture
def classify(monkeypatch: pytest.MonkeyPatch) -> Any:
    def run(*words: object) -> Done:
        return command(monkeypatch, "classify", "--model", "pets", *map(str, words))

    return run


def test_a_table_has_a_line_for_each_image(classify: Any, images: Path, server: SmallServer) -> None:
    done = classify(images, "--server", server.address)
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in done.out.splitlines() if "│" in line]

    assert 0 == done.code, done.err
    assert [
        [f"{images}/a.png", "cat", "0.750", "dog 0.250", "v3"],
        [f"{images}/b [red].jpg", "cat", "0.750", "dog 0.250", "v3"],
        [f"{images}/deep/c.webp", "cat", "0.750", "dog 0.250", "v3"],
    ] == cells
    assert "pets: 3 classified, 0 failed" == done.err.splitlines()[-1]


def test_json_is_an_object_per_line_also_for_what_failed(classify: Any, images: Path, server: SmallServer) -> None:
    done = classify(images / "a.png", images / "none.png", "--server", server.address, "--json", "--top", 1)
    first, second = (json.loads(line) for line in done.out.splitlines())

    assert ExitCode.FAILED == done.code
    assert {
        "image": f"{images}/a.png",
        "labels": [{"label": "cat", "probability": 0.75}],
        "version": 3,
        "replica": server.address,
    } == first
    assert {"image": f"{images}/none.png", "error": f"{images}/none.png: No such file or directory"} == second


def test_without_a_server_the_fleet_of_the_model_is_asked(
    classify: Any, images: Path, server: SmallServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_REPLICAS", server.address)
    done = classify(images / "a.png", "--json")

    assert 0 == done.code, done.err
    assert server.address == json.loads(done.out)["replica"]


def test_a_gateway_gets_the_key_and_nobody_else_sees_it(classify: Any, images: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    with gateway() as running:
        done = classify(images, "--gateway", running.url, "--key-file", tmp_path / "key", "--version", "v7")

    assert 0 == done.code, done.err
    assert ["/v1/classify/pets?top=3&version=7"] * 3 == running.paths
    assert [f"Bearer {KEY}"] * 3 == [headers["Authorization"] for headers in running.headers]
    assert KEY not in done.out + done.err


def test_a_gateway_that_refuses_the_key_ends_it_at_once(
    classify: Any, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_GATEWAY_KEY", KEY)
    with gateway((401, {"error": "the key is not known"}, {})) as running:
        done = classify(images, "--gateway", running.url, "--concurrency", 1)

    assert ExitCode.FAILED == done.code
    assert "answered 401: the key is not known. Name a file with the key with --key-file" in done.err
    assert KEY not in done.out + done.err
    assert len(running.paths) <= 2


def test_an_image_on_which_the_model_fails_does_not_stop_the_others(classify: Any, images: Path) -> None:
    with gateway((502, {"error": "a replica failed"}, {}), labelled()) as running:
        done = classify(images, "--gateway", running.url, "--concurrency", 1)

    assert ExitCode.FAILED == done.code
    assert "a.png was not classified" in done.err
    assert "pets: 2 classified, 1 failed" == done.err.splitlines()[-1]


def test_without_a_server_that_answers_it_could_not_tell(classify: Any, images: Path) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    servers = classify(images, "--server", nobody)
    gateways = classify(images, "--gateway", f"http://{nobody}")

    assert [ExitCode.COULD_NOT_TELL] * 2 == [servers.code, gateways.code]
    assert "a.png was not classified" in servers.err
    assert "No server answers, so the rest was not tried" in gateways.err
    assert "classified, " not in servers.err + gateways.err, "nothing was counted"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--server", "a:1", "--gateway", "http://a"], "--server and --gateway"),
        (["--key-file", "key"], "--key-file is for"),
        (["--top", "0"], "--top"),
        (["--concurrency", "65"], "--concurrency"),
    ],
)
def test_a_wrong_command_line_ends_with_2(classify: Any, images: Path, words: list[str], message: str) -> None:
    done = classify(images, *words)

    assert 2 == done.code
    assert message in done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--server", "a"], "--server: replica 'a' is not host:port"),
        (["--gateway", "a"], "--gateway 'a' is not the URL of a gateway"),
        (["--version", "newest"], "--version 'newest': give a version number"),
        (["--gateway", "http://a", "--key-file", "/none"], "--key-file /none cannot be read"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(classify: Any, images: Path, words: list[str], message: str) -> None:
    done = classify(images, *words)

    assert ExitCode.FAILED == done.code
    assert message in done.err


def test_a_folder_without_files_is_an_error(classify: Any, tmp_path: Path, server: SmallServer) -> None:
    (tmp_path / "empty").mkdir()
    done = classify(tmp_path / "empty", "--server", server.address)

    assert ExitCode.FAILED == done.code
    assert f"no image in {tmp_path}/empty: name image files, or a folder that has some" in done.err


def test_the_name_of_a_file_cannot_write_to_the_terminal(classify: Any, tmp_path: Path, server: SmallServer) -> None:
    name = "a\x1b[31m\n12:00:00 forged.png"
    (tmp_path / name).write_bytes(encoded(noise(), "PNG"))
    (tmp_path / f"{name}.txt").write_text("any")
    done = classify(tmp_path / name, tmp_path / f"{name}.txt", "--server", server.address)

    assert "\x1b" not in done.out + done.err
    assert [] == [line for line in (done.out + done.err).splitlines() if line.startswith("12:00:00 forged")]


def test_ctrl_c_ends_it_with_what_is_done(images: Path) -> None:
    """...as soon as the first answer is read; the second takes an hour."""
    asked = 0

    def handle(request: Any, context: Any) -> Any:
        nonlocal asked
        asked += INPUT in request.inputs
        while asked > 1 and context.is_active():
            time.sleep(0.01)
        return classifying()(request, context)

    with SmallServer(handle) as server:
        words = ("classify", str(images), "--model", "pets", "--json", "--concurrency", "1", "--server", server.address)
        with subprocess.Popen(
            [sys.executable, "-c", INTERRUPTIBLE, *words],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=60)

    assert f"{images}/a.png" == json.loads(first)["image"]
    assert (130, "") == (process.returncode, rest)
    assert ["pets: 1 classified, 0 failed"] == errors.splitlines()
