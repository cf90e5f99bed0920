"""How the outcome of a check is found, reported and kept; and the commands for people who have the image."""

import io
import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.model_server.flags import parse_flags
from serving.server_flags import ConfigSource, required_flags
from tests.conformance.__main__ import main
from tests.conformance.embedded import COMMAND
from tests.conformance.expectations import Expectations
from tests.conformance.facts import FACTS, Fact, Needs, NotRunError, fact
from tests.conformance.images import own_command, run_command
from tests.conformance.launcher import Launcher
from tests.conformance.report import write_line, write_summary
from tests.conformance.running import Outcome, Result, Targets, results
from tests.conformance.server import Folder
from tests.hunts import hunt
from tests.ports import free_port


@pytest.fixture
def launcher(tmp_path: Path) -> Launcher:
    """Of a program that ends at once."""
    return Launcher("false", Folder(tmp_path, str(tmp_path)))


def _fact(check: Callable[[Launcher], None]) -> Fact:
    return Fact("a-fact", "a statement", "nobody", Needs.OWN, check)


def _nothing(_: Expectations) -> None:
    pass


def _not_run(_: Expectations) -> None:
    raise NotRunError("no reason")


@pytest.mark.parametrize(
    ("check", "outcome", "reason"),
    [
        (lambda own: own.expect(1, 1), Outcome.HOLDS, ""),
        (lambda own: own.expect(1, 2), Outcome.DIFFERS, "expected 1, observed 2"),
        (lambda own: own.expect(1, 2, "its exit code"), Outcome.DIFFERS, "its exit code: expected 1, observed 2"),
        (lambda own: own.expect_in("a", "b"), Outcome.DIFFERS, "expected '... a ...', observed 'b'"),
        (_not_run, Outcome.NOT_RUN, "no reason"),
    ],
)
def test_a_check_holds_differs_or_was_not_run(
    launcher: Launcher, check: Callable[[Launcher], None], outcome: Outcome, reason: str
) -> None:
    result = Targets(None, launcher).result(_fact(check))

    assert (outcome, reason) == (result.outcome, result.reason)


def test_a_check_that_compares_nothing_is_an_error(launcher: Launcher) -> None:
    with pytest.raises(AssertionError, match="compares nothing"):
        Targets(None, launcher).result(_fact(_nothing))


@pytest.mark.parametrize(
    ("needs", "words"),
    [(Needs.OWN, "COMMAND="), (Needs.REST, "REST="), (Needs.FILES, "SERVER="), (Needs.REQUESTS, "SERVER=")],
)
def test_what_is_missing_is_named(needs: Needs, words: str) -> None:
    result = Targets(None, None).result(Fact("a-fact", "a statement", "nobody", needs, _nothing))

    assert Outcome.NOT_RUN == result.outcome
    assert words in result.reason


def test_a_declared_difference_is_no_failure_and_one_that_has_gone_is(launcher: Launcher) -> None:
    checks = [_fact(lambda own: own.expect(1, 2)), _fact(lambda own: own.expect(1, 1))]
    found = list(results(Targets(None, launcher), checks, declared=["a-fact"]))

    assert [Outcome.DECLARED, Outcome.DIFFERS] == [each.outcome for each in found]
    assert "it is declared to differ, and holds" in found[1].reason


def test_two_facts_of_one_name_are_refused() -> None:
    name = next(iter(FACTS))
    with pytest.raises(ValueError, match=name):
        fact(name, "a statement", relied="nobody", needs=Needs.OWN)(_nothing)


def test_a_report_has_a_line_for_each_fact_and_the_reason_where_it_does_not_hold() -> None:
    stream = io.StringIO()
    shown = [
        Result(_fact(_nothing), Outcome.HOLDS),
        Result(_fact(_nothing), Outcome.DIFFERS, "expected 1, observed " + "2" * 1000),
    ]
    for each in shown:
        write_line(stream, each)
    write_summary(stream, shown, server="a server")
    lines = stream.getvalue().splitlines()

    assert [
        "holds                a-fact: a statement",
        "differs              a-fact: a statement",
    ] == lines[:2]
    assert len(lines[2]) < 600
    assert "a server: 1 holds, 1 differs" == lines[-1]


def test_a_server_that_does_not_answer_is_not_a_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    address = f"127.0.0.1:{free_port()}"

    assert 2 == main(["--server", address, "--folder", str(tmp_path)])
    assert f"no model server answers at {address}" in capsys.readouterr().err


def test_a_command_that_starts_nothing_is_not_a_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == main(["--command", "false", "--folder", str(tmp_path)])
    assert "the server did not start" in capsys.readouterr().err


@hunt
def test_a_run_is_kept_with_the_version_of_the_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """...which sees the folder by another path, as a container does."""
    kept, folder, models = tmp_path / "kept" / "run.json", tmp_path / "folder", tmp_path / "models"
    folder.mkdir()
    models.symlink_to(folder)
    words = ["--command", COMMAND, "--folder", str(folder), "--models", str(models), "--json", str(kept)]

    assert 1 == main([*words, "--only", "predict-highest", "--only", "flags-help"])
    content = json.loads(kept.read_text())
    assert {"predict-highest": "holds", "flags-help": "differs"} == {
        each["id"]: each["outcome"] for each in content["facts"]
    }
    assert content["server"].startswith("TensorFlow ModelServer: ")
    assert "1 holds, 1 differs" in capsys.readouterr().out


@hunt
def test_a_server_that_runs_is_checked_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """...and what needs more than it is reported as not run. A second time it remembers the models of the first."""
    folder = Folder(tmp_path / "server", f"{tmp_path}/server")
    folder.prepare()
    with Launcher(COMMAND, folder).standard() as server:
        words = ["--server", server.address, "--folder", str(tmp_path)]
        names = ["predict-highest", "rest-status", "flags-help"]

        assert 0 == main([*words, *(word for name in names for word in ("--only", name))])
        assert f"{server.address}, version unknown: 1 holds, 2 not run" in capsys.readouterr().out
        assert 2 == main(words)
        assert "was checked before" in capsys.readouterr().err


def test_without_a_server_the_commands_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """...and the files exist with which the first one starts a server."""
    assert 2 == main(["--folder", str(tmp_path)])

    shown = capsys.readouterr().out
    assert run_command(tmp_path) in shown
    assert own_command(tmp_path) in shown
    assert "model_config_list {}\n" == (tmp_path / "server" / "models.config").read_text()


def test_the_shown_server_has_the_required_flags_and_is_open_on_this_machine_only() -> None:
    words = shlex.split(run_command(Path("/f")).replace("\\\n", ""))
    flags = words[words.index("--entrypoint") + 3 :]
    required = required_flags(ConfigSource(uri="/models/server/models.config"))

    assert parse_flags([*flags, *required]) == parse_flags(flags)
    assert all(words[index + 1].startswith("127.0.0.1:") for index, word in enumerate(words) if word == "-p")
    assert "/f:/models" in words
