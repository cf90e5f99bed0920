"""Every weight is a number: no NaN, no infinity, no file that is missing or spoilt."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from pipeline.errors import FailedError
from pipeline.first_few import first_few
from pipeline.safety.quoting import quoted, some
from serving.apis import types_pb2
from serving.status import StatusError
from serving.tensorflow.checkpoint import Checkpoint
from serving.wire import Array

_PREFIX = "variables/variables"
_INDEX = f"{_PREFIX}.index"
_FLOATS = frozenset(
    {
        *(types_pb2.DT_BFLOAT16, types_pb2.DT_HALF, types_pb2.DT_FLOAT, types_pb2.DT_DOUBLE),
        *(types_pb2.DT_COMPLEX64, types_pb2.DT_COMPLEX128),
    }
)
_ROOT = Path(__file__).parents[2]
_LONGEST = 2000
# So many values at a time, because the answers take memory too.
_STEP = 2**20


def problems(folder: Path, *, restored: bool) -> list[str]:
    """One tensor is in memory at a time. `restored` says whether the graph reads variables at all.

    They are read in a process of their own: TensorFlow ends the one in which it reads an index that is made for it.
    """
    if not (folder / _INDEX).exists():
        return [f"{_INDEX} is missing, and the graph restores its variables from it"] if restored else []
    command = [sys.executable, "-m", __name__, str(folder.resolve())]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    if done.returncode < 0:
        return [f"{_INDEX} cannot be read: TensorFlow crashed over it (signal {-done.returncode})"]
    if done.returncode:
        raise FailedError(f"the weights could not be checked: {done.stderr.strip()[-_LONGEST:]}")
    found: list[str] = json.loads(done.stdout)
    return found


def _problems(folder: Path) -> list[str]:
    try:
        with Checkpoint(str(folder / _PREFIX)) as checkpoint:
            return _checked(checkpoint)
    except StatusError as error:
        return [f"{_INDEX} cannot be read: {error}"]


def _checked(checkpoint: Checkpoint) -> list[str]:
    spoilt, unread = [], []
    tensors = sorted(name for name, number in checkpoint.types().items() if number in _FLOATS)
    for name in tensors:
        try:
            with checkpoint.values(name) as values:
                bad, size = _not_finite(values), len(values)
        except StatusError as error:
            unread.append(f"{quoted(name)} ({error})")
            continue
        if bad:
            spoilt.append(f"{quoted(name)} ({bad} of {size} values)")
    found = []
    if spoilt:
        found.append(f"{len(spoilt)} of {len(tensors)} weight tensors are not finite: {some(spoilt)}")
    if unread:
        found.append(f"{len(unread)} of {len(tensors)} weight tensors cannot be read: {first_few(unread, 1)}")
    return found


def _not_finite(values: Array) -> int:
    parts = (values[start : start + _STEP] for start in range(0, len(values), _STEP))
    return sum(len(part) - int(np.count_nonzero(np.isfinite(part))) for part in parts)


if __name__ == "__main__":
    json.dump(_problems(Path(sys.argv[1])), sys.stdout)
