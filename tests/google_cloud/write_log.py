"""Ends a task as Airflow's supervisor does, twice, and reads its log as Airflow's API does; answers with the lines."""

import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from airflow.logging_config import get_remote_task_log
from airflow.sdk.configuration import conf
from airflow.sdk.execution_time.supervisor import ActivitySubprocess, _configure_logging

from tests.google_cloud.running import answer

PATH = "dag_id=retrain_digits/run_id=manual__2026-12-01/task_id=train/attempt=1.log"


def end_task(*lines: str) -> float:
    """Log the lines, then upload the log; how long the upload took, in seconds."""
    logger, file = _configure_logging(PATH, client=None)
    for line in lines:
        logger.info(line)
    file.flush()
    task: Any = SimpleNamespace(client=None, process_log=logger, ti=None, id="a-task", pid=1)
    began = time.monotonic()
    ActivitySubprocess._upload_logs(task)
    return time.monotonic() - began


def read() -> list[str]:
    """The lines of the log in the bucket."""
    _, streams = get_remote_task_log().stream(PATH, None)
    return [line for stream in streams for line in stream]


seconds = end_task("epoch 1 of 2: loss 0.5")
read_first: list[str] = [] if "unreadable" in sys.argv else read()
# The same try again, as after a deferral: the log is continued.
end_task("epoch 2 of 2: loss 0.4")
local = Path(conf.get("logging", "base_log_folder")) / PATH
answer(
    {
        "first": read_first,
        "both": [] if "unreadable" in sys.argv else read(),
        "local": local.read_text(),
        "seconds": seconds,
        "handler": type(get_remote_task_log()).__name__,
    }
)
