"""A model server that starts once its config exists: `patient_server CONFIG FLAGS...`."""

import os
import sys
import time
from pathlib import Path

while not Path(sys.argv[1]).exists():
    time.sleep(0.2)
os.execv(sys.executable, [sys.executable, "-m", "serving.model_server", *sys.argv[2:]])  # noqa: S606 - no shell is needed
