"""F50: the disk is full. What was there stays, nothing half is visible, and with room again the same calls succeed."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipeline.storage.kinds import MODEL, written

STAGED = [f"runs/digits/manual-1/model/{name}" for name in sorted(MODEL)]
AFTERWARDS = [
    "journal/digits/00000001.json",
    *STAGED,
    *(f"runs/digits/manual-2/model/{name}" for name in sorted(MODEL)),
    "serve/digits.config",
    *(f"serve/digits/1/{name}" for name in sorted(MODEL)),
]
# Only this program and its children see the disk, and nobody needs to be root for it where the system allows that.
OWN_MOUNTS = ["unshare", "--user", "--map-root-user", "--mount"]


def small_disk(at: Path) -> list[str]:
    """What runs a command with a disk of two megabytes mounted there; skips the test where the system forbids it."""
    mount = f"mount -t tmpfs -o size=2m none {shlex.quote(str(at))}"
    try:
        tried = subprocess.run([*OWN_MOUNTS, "sh", "-c", mount], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("needs a disk of its own: no unshare here")
    if tried.returncode:
        pytest.skip(f"needs a disk of its own: {tried.stderr.strip()}")
    return [*OWN_MOUNTS, "sh", "-c", f'{mount} && exec "$@"', "sh"]


@pytest.mark.parametrize(("kind", "said"), [("disk", "No space left on device"), ("limit", "File too large")])
def test_a_full_disk_changes_nothing(tmp_path: Path, kind: str, said: str) -> None:
    """F50: a create, a replacement, an upload and a copy that end in the middle of a file."""
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    model = written(tmp_path / "model", MODEL)
    command = [sys.executable, "-m", "tests.pipeline.storage.on_full_disk", str(bucket), str(model), kind]

    done = subprocess.run(
        [*(small_disk(bucket) if kind == "disk" else []), *command], capture_output=True, text=True, check=False
    )

    assert 0 == done.returncode, done.stderr
    full, roomy = map(json.loads, done.stdout.splitlines())
    assert ["create", "replace", "upload", "copy"] == list(full["refusals"])
    for action, refusal in full["refusals"].items():
        assert refusal.startswith(f"cannot {action} ")
        assert said in refusal
    assert [*STAGED, "serve/digits.config"] == full["files"]
    assert "old" == full["config"]
    assert {"files": AFTERWARDS, "config": True} == roomy
