"""Real processes under the real supervisor, with short pauses: it runs in an interpreter of its own."""

import itertools
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from embedded.environment import supervisor_environment
from embedded.settings import PROJECT, StackSettings
from embedded.supervision import process_states, processes, supervisor
from embedded.supervision.process_states import ProcessState, SupervisorState
from tests.embedded.conftest import soon

# The arguments are the commands of the processes; the last two are those by which a supervisor is found.
SUPERVISE = """
import logging, sys
from embedded.settings import load_settings
from embedded.supervision.child_process import Backoff
from embedded.supervision.procfile import Entry
from embedded.supervision.supervisor import supervise

logging.basicConfig(level=logging.INFO)
named = [each.split("=", 1) for each in sys.argv[1:-2]]
entries = [Entry(name, command, {"PORT": "8500"}) for name, command in named]
supervise(load_settings(), entries, Backoff(first=0.2, longest=0.8, stable=60))
"""
FOREVER = "exec sleep 60"

Supervise = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def supervise(settings: StackSettings) -> Iterator[Supervise]:
    """Start a supervisor of these processes, `name="command"`, in the stack of the test."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(**commands: str) -> "subprocess.Popen[bytes]":
        environment = supervisor_environment(settings) | {"PYTHONPATH": str(PROJECT)}
        commands_as_arguments = [f"{name}={command}" for name, command in commands.items()]
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", SUPERVISE, *commands_as_arguments, "embedded", "supervise"], env=environment
            )
        )
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()
    processes.end(lambda: processes.members(settings.var), grace=0)


def state(settings: StackSettings, name: str) -> ProcessState:
    return supervisor.states(settings).get(name) or ProcessState(name=name)


def pid(settings: StackSettings, name: str, *, other_than: int | None = None) -> int:
    """The process id, once the process runs."""
    assert soon(lambda: state(settings, name).pid not in (None, other_than))
    return state(settings, name).pid or 0


def test_a_process_that_is_killed_is_restarted_and_the_others_keep_running(
    settings: StackSettings, supervise: Supervise
) -> None:
    supervise(mlflow=FOREVER, replica=FOREVER)
    killed, kept = pid(settings, "mlflow"), pid(settings, "replica")

    os.kill(killed, signal.SIGKILL)

    assert killed != pid(settings, "mlflow", other_than=killed)
    assert (1, "exit code -9 (SIGKILL)") == (state(settings, "mlflow").ends, state(settings, "mlflow").last_end)
    assert kept == state(settings, "replica").pid
    assert 0 == state(settings, "replica").ends
    assert psutil.pid_exists(kept)


def test_a_process_that_keeps_ending_is_started_after_ever_longer_pauses(
    settings: StackSettings, supervise: Supervise
) -> None:
    supervise(broken="date +%s.%N; exit 3")
    log = settings.logs / "broken.log"
    assert soon(lambda: state(settings, "broken").ends >= 4)

    moments = [float(line) for line in log.read_text(encoding="utf-8").splitlines() if line[0] != "-"]
    pauses = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert pauses[0] >= 0.2
    assert pauses[1] >= 0.4
    assert pauses[2] >= 0.8
    assert "exit code 3" == state(settings, "broken").last_end
    assert state(settings, "broken").failures == state(settings, "broken").ends


def test_each_process_has_its_own_variables_and_its_own_log(settings: StackSettings, supervise: Supervise) -> None:
    supervise(first=f'echo "port $PORT"; {FOREVER}', second=f"echo second >&2; {FOREVER}")

    def logs() -> list[list[str]]:
        return [path.read_text(encoding="utf-8").splitlines()[1:] for path in sorted(settings.logs.glob("*.log"))]

    assert soon(lambda: [["port 8500"], ["second"]] == logs())
    assert (settings.logs / "first.log").read_text(encoding="utf-8").startswith("--- start of first at 20")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_of_them_and_what_they_started_in_sessions_of_their_own(
    settings: StackSettings, supervise: Supervise, number: int
) -> None:
    process = supervise(scheduler=f"setsid sleep 60 & {FOREVER}", broken="exit 1")
    pid(settings, "scheduler")
    assert soon(lambda: state(settings, "broken").ends > 0)
    assert soon(lambda: len(processes.started_by(settings.var, "scheduler")) == 2)

    process.send_signal(number)

    assert 0 == process.wait(timeout=60)
    assert [] == processes.members(settings.var)


def test_the_children_of_a_killed_process_end_before_it_is_restarted(
    settings: StackSettings, supervise: Supervise
) -> None:
    """An orphan of the API server would keep its port, one of the scheduler would do its work twice."""
    supervise(api=f"trap '' TERM; setsid sleep 60 & trap - TERM; {FOREVER}")
    killed = pid(settings, "api")
    assert soon(lambda: len(processes.started_by(settings.var, "api")) == 2)
    (orphan,) = (each.pid for each in processes.started_by(settings.var, "api") if each.pid != killed)

    os.kill(killed, signal.SIGKILL)

    pid(settings, "api", other_than=killed)
    assert soon(lambda: len(processes.started_by(settings.var, "api")) == 2)
    assert orphan not in {each.pid for each in processes.started_by(settings.var, "api")}


def test_the_processes_keep_running_without_their_supervisor(settings: StackSettings, supervise: Supervise) -> None:
    process = supervise(replica=f"while sleep 0.1; do echo alive; done; {FOREVER}")
    replica, log = pid(settings, "replica"), settings.logs / "replica.log"

    process.kill()
    process.wait()
    written = log.stat().st_size

    assert soon(lambda: log.stat().st_size > written)
    assert psutil.pid_exists(replica)
    assert not supervisor.running(settings)
    assert {} == supervisor.states(settings)


def test_a_full_disk_stops_nothing(settings: StackSettings, supervise: Supervise) -> None:
    """Neither the state nor a log can be written, by a limit on the size of files that all of them inherit."""
    started = settings.var / "started"
    started.mkdir()
    process = supervise(replica=f": > {str(started)!r}/$$; {FOREVER}")
    assert process.pid
    (settings.logs / "replica.log").unlink(missing_ok=True)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, 0))

    def alive() -> list[int]:
        return [int(path.name) for path in started.iterdir() if psutil.pid_exists(int(path.name))]

    assert soon(lambda: len(alive()) == 1)
    (killed,) = alive()
    os.kill(killed, signal.SIGKILL)

    assert soon(lambda: alive() not in ([], [killed]))
    assert process.poll() is None


def test_a_log_and_a_state_that_cannot_be_opened_stop_nothing(settings: StackSettings, supervise: Supervise) -> None:
    (settings.logs / "replica.log").mkdir()
    process_states.state_file(settings).mkdir()
    supervise(replica=FOREVER)

    assert soon(lambda: len(processes.started_by(settings.var, "replica")) == 1)

    process_states.state_file(settings).rmdir()

    assert pid(settings, "replica")  # written later, when it can be


def test_ending_a_stack_ends_a_process_that_waits_for_its_restart(
    settings: StackSettings, supervise: Supervise
) -> None:
    supervise(broken="exit 1", replica=FOREVER)
    assert soon(lambda: state(settings, "broken").next_start is not None)
    pid(settings, "replica")

    killed = supervisor.end(settings)

    assert 0 == killed
    assert [] == processes.members(settings.var)
    assert not process_states.state_file(settings).exists()
    time.sleep(1)  # longer than the pause before its next start
    assert [] == processes.members(settings.var)


def test_the_state_of_an_earlier_supervisor_is_ignored(settings: StackSettings, supervise: Supervise) -> None:
    """After a reboot another process may have its process id."""
    process_states.write(
        settings, SupervisorState(supervisor=os.getpid(), processes=(ProcessState(name="replica", pid=1),))
    )
    assert {} == supervisor.states(settings)
    assert {} == process_states.read(settings, os.getpid() + 1)
    assert ["replica"] == list(process_states.read(settings, os.getpid()))

    supervise(other=FOREVER)

    assert pid(settings, "other")
    assert ["other"] == list(supervisor.states(settings))


def test_a_program_of_another_stack_is_not_this_supervisor(
    settings: StackSettings, supervise: Supervise, tmp_path: Path
) -> None:
    supervise(replica=FOREVER)
    assert soon(lambda: supervisor.running(settings))

    assert not supervisor.running(settings.model_copy(update={"var": tmp_path / "other"}))
