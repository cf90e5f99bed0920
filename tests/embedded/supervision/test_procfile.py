import re
import shlex
import subprocess
from pathlib import Path

import pytest

from embedded import prepare
from embedded.environment import POLL_SECONDS, stack_environment
from embedded.settings import StackSettings
from embedded.supervision.procfile import GATEWAY, PROCFILE, Entry, entries
from serving.gateway.__main__ import parser, settings_of
from serving.model_server.flags import Flags, parse_flags
from tests.embedded.conftest import record_fleet


def test_the_replica_line_is_started_once_per_port_of_each_model(settings: StackSettings, tmp_path: Path) -> None:
    procfile = tmp_path / "Procfile"
    procfile.write_text(
        '# a comment: not a process\nweb: run web\nreplica: eval serve "$REPLICA_FLAGS"\n', encoding="utf-8"
    )

    web, *replicas = entries(settings.with_models(["digits", "pets"]), procfile)

    assert Entry("web", "run web", {}) == web
    assert {
        "replica-digits-1": (8500, 8501),
        "replica-digits-2": (8510, 8511),
        "replica-pets-1": (8520, 8521),
        "replica-pets-2": (8530, 8531),
    } == {entry.name: ports(entry) for entry in replicas}


def flags(entry: Entry) -> Flags:
    return parse_flags(shlex.split(entry.extra["REPLICA_FLAGS"]))


def ports(entry: Entry) -> tuple[int, int]:
    return flags(entry).port, flags(entry).rest_api_port


@pytest.mark.parametrize(("rollout", "polled"), [("pinned", ("{}/digits.config", "")), ("latest", ("", "{}/digits"))])
def test_servers_poll_the_config_or_the_base_path_of_the_roll_out(
    settings: StackSettings, rollout: str, polled: tuple[str, str]
) -> None:
    """...each of its own model."""
    stack = settings.model_copy(update={"rollout": rollout, "serving_ports": (8500,)}).with_models(["digits", "pets"])
    found = [flags(each) for each in entries(stack) if "REPLICA_FLAGS" in each.extra]

    expected = tuple(each.format(settings.bucket / "serve") for each in polled)
    of_pets = tuple(each.replace("digits", "pets") for each in expected)
    assert [expected, of_pets] == [(each.model_config_file, each.model_base_path) for each in found]
    for each in found:
        assert each.file_system_poll_wait_seconds == POLL_SECONDS
        assert each.model_config_file_poll_wait_seconds == (POLL_SECONDS if rollout == "pinned" else 0)


@pytest.mark.parametrize(
    ("rollout", "flag", "first", "rest"),
    [
        ("pinned", "model_config_file", "first_ring/digits.config", "serve/digits.config"),
        ("latest", "model_base_path", "first_ring/digits", "serve/digits"),
    ],
)
def test_replica_1_polls_what_is_made_for_the_first_ring(
    settings: StackSettings, rollout: str, flag: str, first: str, rest: str
) -> None:
    stack = settings.model_copy(update={"rollout": rollout})
    groups = {"first": {"replicas": "127.0.0.1:8500"}, "rest": {"replicas": "127.0.0.1:8510"}}
    record_fleet(stack, "digits", groups=groups, first_ring="first")

    found = [getattr(flags(each), flag) for each in entries(stack) if "REPLICA_FLAGS" in each.extra]

    assert [f"{stack.bucket}/{first}", f"{stack.bucket}/{rest}"] == found


@pytest.mark.parametrize("rollout", ["pinned", "latest"])
def test_one_gateway_asks_the_replicas_of_all_models(settings: StackSettings, rollout: str) -> None:
    """...by the label in the pinned roll-out only, and on this machine alone."""
    both = settings.model_copy(update={"rollout": rollout}).with_models(["digits", "pets"])
    (gateway,) = (entry for entry in entries(both) if entry.name == GATEWAY)

    found = settings_of(parser().parse_args(shlex.split(gateway.extra["GATEWAY_FLAGS"])))

    label = "stable" if rollout == "pinned" else None
    sources = {"digits": "127.0.0.1:8500,127.0.0.1:8510", "pets": "127.0.0.1:8520,127.0.0.1:8530"}
    assert {name: (source, label) for name, source in sources.items()} == {
        model.name: (model.source, model.label) for model in found.models
    }
    assert ("127.0.0.1", 8090) == (found.host, found.port)


def test_without_a_model_there_is_no_gateway(settings: StackSettings) -> None:
    assert GATEWAY not in {entry.name for entry in entries(settings.with_models([]))}


def test_a_folder_with_a_space_stays_one_argument(settings: StackSettings, tmp_path: Path) -> None:
    """...through the shell that the line is given to."""
    spaced = settings.model_copy(update={"var": tmp_path / "my stack"})
    prepare.create_folders(spaced)
    (line, *_) = (entry for entry in entries(spaced) if "REPLICA_FLAGS" in entry.extra)
    printed = line.command.replace("exec python -m serving.model_server", "printf '%s\\\\n'")
    done = subprocess.run(["/bin/sh", "-c", printed], env=line.extra, capture_output=True, text=True, check=True)

    assert f"--model_config_file={spaced.bucket}/serve/digits.config" in done.stdout.splitlines()


def test_every_variable_of_the_procfile_is_set_and_quoted(settings: StackSettings) -> None:
    """An unset one would be an empty argument; an unquoted one would be split at a space in the folder's name."""
    environment = stack_environment(settings)
    for entry in entries(settings):
        for name in re.findall(r"\$([A-Z_]+)", entry.command):
            assert name in environment | entry.extra, entry.name
        quoted = "".join(re.findall(r'"[^"]*"', entry.command))
        assert re.findall(r"\$[A-Z_]+", entry.command) == re.findall(r"\$[A-Z_]+", quoted), entry.name


def test_nothing_listens_on_other_addresses() -> None:
    content = PROCFILE.read_text(encoding="utf-8")

    assert "0.0.0.0" not in content  # noqa: S104 - that is the point
    for component in ("scheduler", "triggerer"):
        assert f"airflow {component} --skip-serve-logs" in content
