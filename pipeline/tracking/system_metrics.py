"""CPU, memory, disk, network and GPUs of this machine while a network is trained, as MLflow's `system/` metrics.

MLflow has a thread for that. It ends at the first error, and a run ends no earlier than its last request. This thread
has neither fault: a run never waits for it longer than a moment, whatever MLflow does. What is measured, and under
which names, is MLflow's, so that its page of system metrics shows it.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

log = logging.getLogger(__name__)

# A point each second at first, for runs that are short; then more rarely: each pause is at least this share of the time
# so far, so a training of a day has some 1,400 points, and not 8,600.
_FIRST_SECONDS = 1.0
_SHARE = 1 / 200
# After a failure MLflow is asked more rarely.
_LONGEST_PAUSE = 300.0
# The last point is sent when the run ends, if that is possible in this time.
_FAREWELL_SECONDS = 1.0
_LONGEST_ERROR = 300


@contextmanager
def system_metrics(url: str, run_id: str, *, started_at: float) -> Iterator[None]:
    """Log the metrics of this machine inside the block. Never raises, and never delays the block.

    Args:
        url: where MLflow is.
        run_id: the run.
        started_at: when the run began, in seconds since 1970: the step of each point is the second of the run. So
            points of a run that is resumed, or repeated elsewhere, come after those before.
    """
    try:
        sampler = _Sampler(url, run_id, started_at=started_at)
        sampler.start()
    except Exception as error:  # noqa: BLE001 - a training must not fail for the sake of its charts
        log.warning("CPU and memory are not logged to MLflow: %s: %s", type(error).__name__, error)
        yield
        return
    try:
        yield
    finally:
        sampler.stop()


class _Sampler(threading.Thread):
    def __init__(self, url: str, run_id: str, *, started_at: float) -> None:
        super().__init__(name="system metrics", daemon=True)
        from mlflow import MlflowClient
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        logging.getLogger(SystemMetricsMonitor.__module__).setLevel(logging.WARNING)  # it says that there is no GPU
        self._client = MlflowClient(url)
        self._run_id = run_id
        self._started_at = started_at
        # Only its measuring is used. It needs psutil.
        self._monitor: Any = SystemMetricsMonitor(run_id, tracking_uri=url)
        self._monitor.collect_metrics()  # the CPU is measured from one call to the next
        self._clear()
        self._stopped = threading.Event()
        self._said = False

    def stop(self) -> None:
        """End with a last point, if that needs no longer than a moment."""
        self._stopped.set()
        self.join(_FAREWELL_SECONDS)

    def run(self) -> None:
        pause, begin = _FIRST_SECONDS, time.monotonic()
        while not self._stopped.wait(pause):
            regular = max(_FIRST_SECONDS, _SHARE * (time.monotonic() - begin))
            pause = regular if self._log() else min(_LONGEST_PAUSE, 2 * pause)
        self._log()

    def _log(self) -> bool:
        try:
            self._client.log_batch(self._run_id, metrics=self._measured())
        except Exception as error:  # noqa: BLE001 - see above
            if not self._said:
                reason = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST_ERROR]
                log.warning("MLflow has not taken the metrics of this machine: %s. The training continues", reason)
            self._said = True
            return False
        return True

    def _measured(self) -> list[Any]:
        from mlflow.entities import Metric

        self._monitor.collect_metrics()
        found = self._monitor.aggregate_metrics()
        self._clear()
        now = time.time()
        step = max(0, int(now - self._started_at))
        return [Metric(f"system/{name}", float(value), int(now * 1000), step) for name, value in found.items()]

    def _clear(self) -> None:
        for each in self._monitor.monitors:
            each.clear_metrics()
