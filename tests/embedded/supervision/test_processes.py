"""Find and end real processes by their environment."""

from pathlib import Path

from embedded.environment import PROCESS_VARIABLE
from embedded.supervision import processes
from tests.embedded.conftest import Start

SLEEP = "print('ready', flush=True); import time; time.sleep(60)"
IGNORES_SIGTERM = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"


def test_only_the_processes_of_the_stack_are_ended(start: Start, tmp_path: Path) -> None:
    var, other = tmp_path / "var", tmp_path / "var2"
    ours, other_stack, no_stack = start(SLEEP, var), start(SLEEP, other), start(SLEEP, None)

    killed = processes.end(lambda: processes.members(var), grace=10)

    assert killed == 0
    ours.wait(timeout=5)
    assert other_stack.poll() is None
    assert no_stack.poll() is None


def test_a_stack_in_a_folder_of_another_stack_is_not_part_of_it(start: Start, tmp_path: Path) -> None:
    outer, inner = tmp_path / "var", tmp_path / "var" / "latest"
    process = start(SLEEP, inner)

    assert [] == processes.members(outer)
    assert [process.pid] == [member.pid for member in processes.members(inner)]


def test_a_process_that_ignores_sigterm_is_killed(start: Start, tmp_path: Path) -> None:
    process = start(IGNORES_SIGTERM, tmp_path)

    killed = processes.end(lambda: processes.members(tmp_path), grace=0.2)

    assert killed == 1
    process.wait(timeout=5)


def test_a_process_that_renames_itself_is_still_found(start: Start, tmp_path: Path) -> None:
    """Airflow's workers write titles over their arguments; SPT_NOENV keeps them from writing over the environment."""
    title = "airflow worker: " + "x" * 4000
    start(f"import setproctitle; setproctitle.setproctitle({title!r}); {SLEEP}", tmp_path, SPT_NOENV="1")

    assert len(processes.members(tmp_path)) == 1


def test_the_caller_and_its_parents_are_not_found(start: Start, tmp_path: Path) -> None:
    """`down` may be called by a process of the stack."""
    code = (
        "from pathlib import Path; from embedded.supervision import processes; "
        f"print('ready', flush=True); print(len(processes.members(Path({str(tmp_path)!r}))), flush=True)"
    )
    process = start(code, tmp_path)
    assert process.stdout is not None

    assert process.stdout.readline() == "0\n"


def test_a_process_is_found_by_its_arguments_among_those_of_its_stack(start: Start, tmp_path: Path) -> None:
    ours, other = tmp_path / "var", tmp_path / "other"
    ended, other_stack, member = start(SLEEP, ours), start(SLEEP, other), start(SLEEP, ours)
    ended.kill()
    ended.wait()

    found = processes.with_arguments(ours, {"-c", SLEEP})

    assert found is not None
    assert [member.pid] == [found.pid]
    assert other_stack.poll() is None
    assert processes.with_arguments(ours, {"-c", "another argument"}) is None


def test_the_processes_that_one_process_has_started_are_found(start: Start, tmp_path: Path) -> None:
    scheduler, _, elsewhere = (
        start(SLEEP, var, (), **{PROCESS_VARIABLE: name})
        for var, name in ((tmp_path, "scheduler"), (tmp_path, "mlflow"), (tmp_path / "other", "scheduler"))
    )

    assert [scheduler.pid] == [each.pid for each in processes.started_by(tmp_path, "scheduler")]
    assert elsewhere.poll() is None


def test_listening_ports_are_found_with_the_folder_of_their_stack(start: Start, tmp_path: Path) -> None:
    listen = "import socket; server = socket.create_server(('127.0.0.1', 0)); port = server.getsockname()[1]"
    report = "print('ready', flush=True); print(port, flush=True); import time; time.sleep(60)"
    ours, other = (start(f"{listen}; {report}", var) for var in (tmp_path, None))
    assert ours.stdout is not None
    assert other.stdout is not None

    found = processes.listening_ports()

    assert str(tmp_path) == found[int(ours.stdout.readline())]
    assert int(other.stdout.readline()) not in found
