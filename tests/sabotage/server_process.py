"""A server as a process that is started again whenever it ends, as a pod is."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from pipeline.deployment import RolloutName
from tests.fleet import RunningReplica
from tests.ports import free_port
from tests.processes.acting import PROJECT

# Between the end of a process and the start of the next one.
RESTART_SECONDS = 1.0


class ServerProcess(RunningReplica):
    """One server of `tests.sabotage.server`; it is never put to sleep.

    A process that has stopped (SIGSTOP) answers no liveness probe, so it is killed after `liveness_seconds`.

    Attributes:
        starts: how many processes there were.
        deaths: when a process has ended or has stopped, by `time.monotonic()`.
    """

    def __init__(
        self, source: Path, *, rollout: RolloutName, poll_seconds: float, log: Path, liveness_seconds: float
    ) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.starts = 0
        self.deaths: list[float] = []
        module = ["-m", "tests.sabotage.server"]
        self._command = [sys.executable, *module, str(self.port), rollout, str(source), str(poll_seconds)]
        self._log = log
        self._liveness_seconds = liveness_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._over = threading.Event()
        self._keeper = threading.Thread(target=self._keep_alive, name=f"keeper of {self.port}", daemon=True)

    def start(self) -> None:
        self._keeper.start()

    def stop(self) -> None:
        self._over.set()
        if self._process is not None:
            self._process.kill()
        self._keeper.join()

    def _keep_alive(self) -> None:
        with self._log.open("ab") as log:
            while not self._over.is_set():
                self.starts += 1
                process = self._process = start(self._command, log.fileno())
                if self._over.is_set():
                    process.kill()
                self._until_it_ends(process)
                self._over.wait(RESTART_SECONDS)

    def _until_it_ends(self, process: subprocess.Popen[bytes]) -> None:
        found = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WSTOPPED | os.WNOWAIT)
        self.deaths.append(time.monotonic())
        if found is not None and found.si_code == os.CLD_STOPPED:
            self._over.wait(self._liveness_seconds)
            process.send_signal(signal.SIGKILL)
        process.wait()


def start(command: Sequence[str], log: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
