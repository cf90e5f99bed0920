"""`snapshot` and `check` decode with Pillow what the served graph decodes with TensorFlow: both must fail alike."""

import json
import subprocess
import sys


def test_what_cannot_be_decoded_for_a_snapshot_cannot_be_decoded_by_the_served_graph_either() -> None:
    command = [sys.executable, "-m", "tests.pipeline.data.decoding"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])

    assert [] == seen["differing"]
    assert seen["refused"] > 400
