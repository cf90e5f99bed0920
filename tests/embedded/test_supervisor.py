import os
import subprocess
import sys

import pytest

from embedded import processes, stack, supervisor
from embedded.errors import NotHealthyError
from embedded.settings import PROJECT, StackSettings

SUPERVISE = """
import sys
from pathlib import Path
from embedded.procfile import Entry
from embedded.settings import StackSettings
from embedded.supervisor import supervise

first = Entry("first", 'echo "$PORT is my port"; sleep 0.3; exit 3', {"PORT": "8500"})
second = Entry("second", "echo waiting; exec sleep 60", {})
sys.exit(supervise(StackSettings(var=Path(sys.argv[1])), [first, second]))
"""


def test_when_one_process_ends_so_do_the_others_and_each_has_its_log(settings: StackSettings) -> None:
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [sys.executable, "-c", SUPERVISE, str(settings.var)], env=environment, check=False, timeout=30
    )

    assert done.returncode == 3
    assert processes.members(settings.var) == []
    assert (settings.logs / "first.log").read_text(encoding="utf-8") == "8500 is my port\n"
    assert (settings.logs / "second.log").read_text(encoding="utf-8") == "waiting\n"
    assert not supervisor.running(settings)


def test_a_failed_start_names_what_ended_first_and_shows_its_log(settings: StackSettings) -> None:
    told = "mlflow started (pid=1)\nmlflow stopped (rc=1)\nairflow-api stopped (rc=-15)\n"
    (settings.logs / "system.log").write_text(told, encoding="utf-8")
    (settings.logs / "mlflow.log").write_text("sqlite3: disk full\n", encoding="utf-8")
    nobody = settings.model_copy(update={"airflow_port": 1, "mlflow_port": 1, "serving_ports": (1,)})
    said: list[str] = []

    with pytest.raises(NotHealthyError) as failed:
        stack._wait(nobody, said.append, began=0.0)

    assert said == []
    assert "mlflow ended" in str(failed.value)
    assert "sqlite3: disk full" in str(failed.value)


def test_a_number_left_by_a_crash_is_not_a_running_stack(settings: StackSettings) -> None:
    supervisor.pid_file(settings).write_text(f"{os.getpid()}\n", encoding="ascii")

    assert not supervisor.running(settings)
