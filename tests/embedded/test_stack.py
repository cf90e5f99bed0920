"""Errors of `up` and `down`: the messages, and that nothing is started or changed."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded import stack
from embedded.environment import supervisor_environment
from embedded.errors import NotHealthyError, StackError
from embedded.settings import StackSettings
from embedded.supervision import processes, supervisor
from pipeline import layout
from tests.embedded.conftest import Start, quiet_ports, soon

SUPERVISE = """
import sys
from pathlib import Path
from embedded.settings import load_settings
from embedded.supervision.child_process import Backoff
from embedded.supervision.procfile import entries
from embedded.supervision.supervisor import supervise

settings = load_settings()
supervise(settings, entries(settings, Path(sys.argv[1])), Backoff(first=0.1, longest=0.2))
"""
IDLE = "print('ready', flush=True); import time; time.sleep(60)"


@pytest.fixture
def quiet(settings: StackSettings) -> StackSettings:
    """A stack on free ports."""
    return quiet_ports(settings)


def supervised(settings: StackSettings, procfile: Path) -> "subprocess.Popen[bytes]":
    words = [sys.executable, "-c", SUPERVISE, str(procfile), "embedded", "supervise"]
    return subprocess.Popen(words, env=supervisor_environment(settings), stderr=subprocess.DEVNULL)


@pytest.fixture
def broken(quiet: StackSettings, tmp_path: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """A supervisor of a stack whose MLflow ends at once, with pages of help after the reason."""
    procfile = tmp_path / "Procfile"
    lines = ["mlflow: echo bad database; seq 100; exit 4", "airflow-api: exec sleep 60", "replica: exec sleep 60"]
    procfile.write_text("\n".join(lines) + "\n", encoding="utf-8")
    process = supervised(quiet, procfile)
    assert soon(lambda: supervisor.running(quiet))
    yield process
    process.terminate()
    process.wait()


@pytest.mark.usefixtures("broken")
def test_up_fails_when_a_process_keeps_ending_and_shows_its_log(quiet: StackSettings) -> None:
    said: list[str] = []

    with pytest.raises(NotHealthyError) as failed:
        stack._wait_until_up(quiet, said.append, began=time.monotonic())

    text = str(failed.value)
    assert [] == said
    assert "mlflow does not come up: it has ended " in text
    assert "times in a row, the last time: exit code 4" in text
    assert ["bad database", "1", "2"] == text.splitlines()[3:6]
    assert "100" in text.splitlines()


def test_log_tail_begins_with_the_last_start_that_has_output(tmp_path: Path) -> None:
    log = tmp_path / "mlflow.log"
    log.write_text("--- start of it\nold\n--- start of it\nthe reason\n--- start of it\n", encoding="utf-8")

    assert [f"--- from {log}", "--- start of it", "the reason"] == stack.log_tail(log).splitlines()[:3]
    assert "old" == stack.log_tail(log, start=-2).splitlines()[2]
    assert "old" == stack.log_tail(log, start=-4).splitlines()[2]
    assert f"--- from {tmp_path / 'none.log'}" == stack.log_tail(tmp_path / "none.log")


@pytest.mark.usefixtures("broken")
def test_up_waits_for_a_process_that_failed_earlier(quiet: StackSettings) -> None:
    """`make up` on a stack that is partly up: the reason of earlier failures may be fixed."""
    assert soon(lambda: "mlflow" in supervisor.states(quiet) and supervisor.states(quiet)["mlflow"].ends >= 4)
    before = supervisor.states(quiet)["mlflow"].ends

    with pytest.raises(NotHealthyError):
        stack._wait_until_up(quiet, lambda _: None, began=time.monotonic())

    assert supervisor.states(quiet)["mlflow"].ends > before


def test_up_fails_when_the_supervisor_ends(quiet: StackSettings) -> None:
    (quiet.logs / "supervisor.log").write_text("no memory\n", encoding="utf-8")

    with pytest.raises(NotHealthyError, match="the supervisor has ended") as failed:
        stack._wait_until_up(quiet, lambda _: None, began=time.monotonic())

    assert "no memory" in str(failed.value)


def test_up_that_takes_too_long_names_the_components_that_do_not_answer(quiet: StackSettings, start: Start) -> None:
    start(IDLE, quiet.var, ("embedded", "supervise"))
    short = quiet.model_copy(update={"boot_seconds": 0.1})

    with pytest.raises(
        NotHealthyError, match=r"no answer from Airflow, .*, MLflow, Gateway, Replica 1 of digits after"
    ):
        stack._wait_until_up(short, lambda _: None, began=time.monotonic() - 1)


@pytest.mark.usefixtures("broken")
def test_down_ends_a_stack_of_which_one_process_waits_to_be_started_again(quiet: StackSettings) -> None:
    assert soon(lambda: len(processes.members(quiet.var)) >= 3)

    found, killed = stack.down(quiet, lambda _: None)

    assert found >= 3
    assert 0 == killed
    assert [] == processes.members(quiet.var)
    assert (0, 0) == stack.down(quiet, lambda _: None)


def test_up_with_other_settings_on_a_running_stack_is_refused(quiet: StackSettings, start: Start) -> None:
    running = start(IDLE, quiet.var, ("embedded", "supervise"), **supervisor_environment(quiet))

    with pytest.raises(StackError, match=f"MLflow port {quiet.mlflow_port}, not 5000"):
        stack.up(quiet.model_copy(update={"mlflow_port": 5000}), lambda _: None)

    assert running.poll() is None
    assert not (quiet.var / "stack.json").exists()


def test_up_without_a_model_file_is_refused_with_the_folder(quiet: StackSettings) -> None:
    with pytest.raises(StackError, match=f"{quiet.models} has no model file"):
        stack.up(quiet.with_models([]), lambda _: None)

    assert not (quiet.var / "stack.json").exists()
    assert [] == list(quiet.bucket.iterdir())


def test_a_second_command_reports_that_it_waits_for_the_lock(quiet: StackSettings) -> None:
    said: list[str] = []

    def second() -> None:
        with stack._locked(quiet, said.append):
            said.append("locked")

    thread = threading.Thread(target=second)
    with stack._locked(quiet, said.append):
        thread.start()
        assert soon(lambda: len(said) == 1)
    thread.join(timeout=5)

    assert ["another `make up` or `make down` of this stack is under way: waiting for it", "locked"] == said


@pytest.mark.usefixtures("broken")
def test_after_a_failed_start_all_processes_are_ended(quiet: StackSettings) -> None:
    assert soon(lambda: len(processes.members(quiet.var)) >= 3)

    text = stack._after_failure(quiet, started=True)

    assert "Everything that was started has been ended again." == text
    assert [] == processes.members(quiet.var)


@pytest.mark.usefixtures("broken")
def test_replicas_that_serve_are_left_up_when_another_process_cannot_start(quiet: StackSettings) -> None:
    """...of one model, also if nothing of another one is released."""
    (quiet.bucket / layout.version("digits", 1)).mkdir(parents=True)
    assert soon(lambda: len(processes.members(quiet.var)) >= 3)

    with socket.create_server(("127.0.0.1", quiet.serving_ports[0])):
        text = stack._after_failure(quiet.with_models(["cats", "digits"]), started=True)

    assert "left running" in text
    assert "make down`" in text
    assert len(processes.members(quiet.var)) >= 3
