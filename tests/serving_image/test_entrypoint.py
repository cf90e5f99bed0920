"""The entry point of the serving image: the command line that its variables stand for, and which values it refuses."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serving.model_server.flags import parse_flags
from serving.server_flags import BasePathSource, ConfigSource, Source, required_flags
from tests.releases import eventually
from tests.serving_image.image import ENTRYPOINT, FOLDER, install

CONFIG = "gs://models/understudy/serve/digits.config"
BASE_PATH = "gs://models/understudy/serve/digits"
# Whatever the server polls.
USUAL = [
    "--port=8500",
    "--rest_api_port=8501",
    "--num_unload_threads=1",
    "--enable_grpc_healthcheck_service=true",
    f"--monitoring_config_file={FOLDER}/monitoring.config",
]
PRINT = "printf '%s\\n'"

Variables = dict[str, str]


def run(folder: Path, *words: str, shell: str = "sh", **variables: str) -> "subprocess.CompletedProcess[str]":
    """The entry point with a server that prints its arguments, one a line."""
    environment = install(folder / "bin", PRINT) | variables
    command = [shell, str(ENTRYPOINT), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def flags(folder: Path, *words: str, shell: str = "sh", **variables: str) -> list[str]:
    done = run(folder, *words, shell=shell, **variables)
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout.splitlines()


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize(
    ("variables", "source", "more"),
    [
        ({"MODEL_CONFIG": CONFIG}, ConfigSource(uri=CONFIG), ["--load_retry_interval_micros=1000000"]),
        (
            {"MODEL_CONFIG": CONFIG, "MODEL_NAME": "digits", "POLL_SECONDS": "5"},
            ConfigSource(uri=CONFIG, poll_seconds=5),
            ["--load_retry_interval_micros=1000000"],
        ),
        ({"MODEL_NAME": "digits", "MODEL_PATH": BASE_PATH}, BasePathSource(model="digits", uri=BASE_PATH), []),
        (
            {"MODEL_NAME": "digits", "MODEL_PATH": BASE_PATH, "POLL_SECONDS": "5", "MODEL_CONFIG": ""},
            BasePathSource(model="digits", uri=BASE_PATH, poll_seconds=5),
            [],
        ),
    ],
    ids=["config", "config, every 5 s", "base path", "base path, every 5 s"],
)
def test_the_server_gets_what_releases_need_and_the_rest_of_the_image(
    tmp_path: Path, shell: str, variables: Variables, source: Source, more: list[str]
) -> None:
    expected = [*required_flags(source), *USUAL, *more]

    assert sorted(expected) == sorted(flags(tmp_path, shell=shell, **variables))


@pytest.mark.parametrize(
    ("variables", "added", "removed"),
    [
        ({"PORT": "9000"}, ["--port=9000"], ["--port=8500"]),
        ({"REST_PORT": "9001"}, ["--rest_api_port=9001"], ["--rest_api_port=8501"]),
        # Metrics are read from the REST port.
        ({"REST_PORT": ""}, ["--rest_api_port=0"], [USUAL[1], USUAL[-1]]),
        ({"REST_PORT": "0"}, ["--rest_api_port=0"], [USUAL[1], USUAL[-1]]),
        ({"MONITORING": "false"}, [], [USUAL[-1]]),
        ({"BATCHING": "false"}, [], []),
        ({"BATCHING": ""}, [], []),
        (
            {"BATCHING": "true"},
            ["--enable_batching=true", f"--batching_parameters_file={FOLDER}/batching.config"],
            [],
        ),
    ],
)
def test_each_variable_changes_its_own_flags(
    tmp_path: Path, variables: Variables, added: list[str], removed: list[str]
) -> None:
    usual = set(flags(tmp_path, MODEL_CONFIG=CONFIG))

    given = flags(tmp_path, MODEL_CONFIG=CONFIG, **variables)

    assert (usual - set(removed)) | set(added) == set(given)


def test_batching_and_monitoring_may_have_files_of_their_own(tmp_path: Path) -> None:
    own = tmp_path / "my own.config"
    own.touch()

    given = flags(tmp_path, MODEL_CONFIG=CONFIG, BATCHING=str(own), MONITORING=str(own))

    assert {"--enable_batching=true", f"--batching_parameters_file={own}"} < set(given)
    assert f"--monitoring_config_file={own}" in given
    assert USUAL[-1] not in given


def test_arguments_follow_as_they_are_and_the_last_of_a_flag_counts(tmp_path: Path) -> None:
    words = ["--port=7", "--saved_model_tags=a b", "--model_name=*"]

    given = flags(tmp_path, *words, MODEL_CONFIG=CONFIG)

    assert words == given[-3:]
    assert 7 == parse_flags(given).port


def test_values_with_blanks_and_stars_stay_one_word(tmp_path: Path) -> None:
    given = flags(tmp_path, MODEL_NAME="my model *", MODEL_PATH="/my models/*")

    assert {"--model_name=my model *", "--model_base_path=/my models/*"} < set(given)


def test_no_flag_is_given_twice(tmp_path: Path) -> None:
    names = [word.split("=")[0] for word in flags(tmp_path, MODEL_CONFIG=CONFIG, BATCHING="true")]

    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({}, "neither MODEL_CONFIG nor MODEL_PATH is set"),
        ({"MODEL_CONFIG": "", "MODEL_PATH": "", "MODEL_NAME": "digits"}, "neither MODEL_CONFIG nor MODEL_PATH is set"),
        (
            {"MODEL_CONFIG": CONFIG, "MODEL_PATH": BASE_PATH},
            f"MODEL_CONFIG='{CONFIG}' and MODEL_PATH='{BASE_PATH}' are both set",
        ),
        ({"MODEL_PATH": BASE_PATH}, f"MODEL_PATH='{BASE_PATH}' needs MODEL_NAME"),
        ({"MODEL_PATH": "serve/digits", "MODEL_NAME": "digits"}, "neither an absolute path nor a URI"),
        ({"MODEL_CONFIG": "/nowhere/digits.config"}, "MODEL_CONFIG='/nowhere/digits.config' does not exist"),
        ({"MODEL_CONFIG": "/nowhere/digits.config"}, "Run `understudy init`"),
        ({"MODEL_CONFIG": CONFIG, "PORT": "grpc"}, "PORT='grpc' is not a port"),
        ({"MODEL_CONFIG": CONFIG, "PORT": "0"}, "PORT='0' is not a port"),
        ({"MODEL_CONFIG": CONFIG, "PORT": "65536"}, "PORT='65536' is not a port"),
        ({"MODEL_CONFIG": CONFIG, "PORT": "-1"}, "PORT='-1' is not a port"),
        ({"MODEL_CONFIG": CONFIG, "PORT": "85 00"}, "PORT='85 00' is not a port"),
        ({"MODEL_CONFIG": CONFIG, "PORT": "8" * 30}, f"PORT='{'8' * 30}' is not a port"),
        ({"MODEL_CONFIG": CONFIG, "REST_PORT": "http"}, "REST_PORT='http' is not a port"),
        ({"MODEL_CONFIG": CONFIG, "PORT": "8501"}, "PORT and REST_PORT are both 8501"),
        ({"MODEL_CONFIG": CONFIG, "POLL_SECONDS": "0"}, "POLL_SECONDS='0' is not a number of seconds from 1 on"),
        ({"MODEL_CONFIG": CONFIG, "POLL_SECONDS": "0.5"}, "POLL_SECONDS='0.5' is not a number of seconds from 1 on"),
        ({"MODEL_CONFIG": CONFIG, "BATCHING": "yes"}, "BATCHING='yes' does not exist. Set it to true"),
        (
            {"MODEL_CONFIG": CONFIG, "MONITORING": "/none"},
            "MONITORING='/none' does not exist. Set it to true, to false",
        ),
    ],
)
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_wrong_value_ends_it_before_the_server_starts(
    tmp_path: Path, shell: str, variables: Variables, problem: str
) -> None:
    done = run(tmp_path, shell=shell, **variables)

    assert (64, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("entrypoint.sh: ")
    assert problem in done.stderr
    assert 1 == done.stderr.count("\n")


def test_a_config_that_the_user_of_the_container_may_not_read_is_named(tmp_path: Path) -> None:
    config = tmp_path / "digits.config"
    config.touch(mode=0o000)
    # So that root, too, is a user who may not.
    less = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    environment = install(tmp_path / "bin", PRINT) | {"MODEL_CONFIG": str(config)}

    done = subprocess.run([*less, ENTRYPOINT], env=environment, capture_output=True, text=True, check=False)

    assert 64 == done.returncode, done.stderr
    assert f"MODEL_CONFIG='{config}' cannot be read by the user {os.geteuid()} " in done.stderr


def test_the_server_takes_the_place_of_the_script(tmp_path: Path) -> None:
    """...so that signals reach it."""
    environment = install(tmp_path / "bin", "exec sh -c 'echo $$'") | {"MODEL_CONFIG": CONFIG}
    with subprocess.Popen([ENTRYPOINT], env=environment, stdout=subprocess.PIPE, text=True) as process:
        printed, _ = process.communicate(timeout=20)

    assert process.pid == int(printed)


UNSHARE = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
MAY_UNSHARE = (
    shutil.which("unshare") is not None
    and subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0
)
in_a_container = pytest.mark.skipif(
    not MAY_UNSHARE, reason="needs unshare, of util-linux, and a kernel that lets this user make a PID namespace"
)
# It handles no signal, as tensorflow_model_server.
DEAF = "exec sleep 60"


@contextmanager
def terminated(command: list[str], environment: Variables, *, begun: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The first process of a container, which has got SIGTERM once its server had begun."""
    outer = subprocess.Popen([*UNSHARE, *command], env=environment)
    try:
        assert eventually(begun.exists, seconds=20)
        (first,) = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
        os.kill(int(first), signal.SIGTERM)
        yield outer
    finally:
        outer.kill()
        outer.wait(10)


@in_a_container
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_as_the_first_process_of_a_container_it_ends_a_server_that_handles_no_signal(
    tmp_path: Path, shell: str
) -> None:
    begun = tmp_path / "begun"
    environment = install(tmp_path / "bin", f"touch {begun}; {DEAF} #") | {"MODEL_CONFIG": CONFIG}

    with terminated([shell, str(ENTRYPOINT)], environment, begun=begun) as process:
        assert 128 + signal.SIGTERM == process.wait(20)


@in_a_container
def test_without_the_script_in_front_such_a_server_would_run_on(tmp_path: Path) -> None:
    """The reason for the script: the kernel drops the signal."""
    begun = tmp_path / "begun"
    command = ["sh", "-c", f"touch {begun}; {DEAF}"]

    with (
        terminated(command, {"PATH": os.environ["PATH"]}, begun=begun) as process,
        pytest.raises(subprocess.TimeoutExpired),
    ):
        process.wait(0.3)


@in_a_container
@pytest.mark.parametrize("code", [0, 3, 255])
def test_as_the_first_process_it_ends_as_the_server_does(tmp_path: Path, code: int) -> None:
    environment = install(tmp_path / "bin", f"exit {code} #") | {"MODEL_CONFIG": CONFIG}

    done = subprocess.run([*UNSHARE, ENTRYPOINT], env=environment, check=False)

    assert code == done.returncode


def test_the_scripts_are_executable() -> None:
    """The image copies them with their mode."""
    assert [0o111, 0o111] == [path.stat().st_mode & 0o111 for path in sorted(FOLDER.glob("*.sh"))]


def test_the_readme_names_every_variable() -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    dockerfile = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    (line,) = (line for line in dockerfile.splitlines() if line.startswith("ENV "))
    variables = [word.partition("=")[0] for word in line.split()[1:]]

    assert 8 == len(variables)
    assert [] == [name for name in variables if f"| `{name}` |" not in readme]
