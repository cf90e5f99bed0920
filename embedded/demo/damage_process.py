"""The process that damages a model for the demo: started early, so that it can act within milliseconds."""

import subprocess
import sys
from pathlib import Path

from embedded.demo.damage import Damage
from embedded.errors import StackError
from embedded.settings import PROJECT


class DamageProcess:
    """`python -m embedded.demo.damage`, which loads TensorFlow while the caller does something else.

    Args:
        log: the file for what the process writes to standard error.
    """

    def __init__(self, log: Path) -> None:
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "embedded.demo.damage"],
                cwd=PROJECT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._log = log

    def damage(self, damage: Damage, source: Path, *, target: Path, trigger: Path) -> None:
        """Damage the model in the folder `target` as soon as the file `trigger` exists, and wait for the end.

        Args:
            damage: what to change.
            source: the folder to read the undamaged model from.
            target: the folder to damage: `source` itself, or a copy that exists by then.
            trigger: the file to wait for.

        Raises:
            StackError: the process failed, or changed nothing; the reason is in the log.
        """
        requests, replies = self._process.stdin, self._process.stdout
        assert requests is not None, "the process was started with pipes"
        assert replies is not None
        replies.readline()  # "ready"
        requests.write(f"{damage}\n{source}\n{target}\n{trigger}\n")
        requests.flush()
        changed = replies.readline().strip()
        if self._process.wait() != 0 or not changed:
            raise StackError(f"{target} could not be damaged; see {self._log}")
