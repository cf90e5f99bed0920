"""What Airflow's triggerer does while a step's pod runs: it looks at the pod, and reads its log."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import cached_property
from typing import Any

from airflow.providers.cncf.kubernetes.triggers.pod import KubernetesPodTrigger
from airflow.providers.cncf.kubernetes.utils.pod_manager import AsyncPodManager

# The scheduler takes a task for failed that is queued again before it has noticed that the task was deferred. It
# notices once in each of its rounds, which take about a second, and several on a busy machine.
HANDOVER_SECONDS = 15
# How long a request for a log may take until the API reads it.
_OVERLAP = timedelta(seconds=2)


class LogReader(AsyncPodManager):  # type: ignore[misc]  # Airflow is untyped for us
    """Reads a log again later where it cannot be read now.

    The error would end the trigger, and after some of them the task would hold a worker until the pod has ended.
    """

    async def fetch_container_logs_before_current_sec(
        self, pod: Any, container_name: str, since_time: Any = None
    ) -> Any:
        try:
            return await super().fetch_container_logs_before_current_sec(pod, container_name, since_time)
        except Exception as error:  # noqa: BLE001 - whatever it is, the pod runs on
            self.log.warning("The log cannot be read at this moment: %r", error)
            return since_time


class PatientTrigger:
    """Makes a trigger wait before it looks, and read no log line too few; it comes before that trigger among the bases.

    `last_log_time` lies some seconds before the last reading. A trigger does not show what came in the second in which
    it reads, and asks the next time for the last so many seconds, which the API counts from when it is asked. So a
    request that takes long would ask for too little, and lines would be lost; now some come twice.
    """

    async def run(self) -> AsyncIterator[Any]:
        await asyncio.sleep(HANDOVER_SECONDS)
        async for event in super().run():  # type: ignore[misc]  # of the trigger
            yield event

    def serialize(self) -> tuple[str, dict[str, Any]]:
        _, arguments = super().serialize()  # type: ignore[misc]
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    @cached_property
    def pod_manager(self) -> AsyncPodManager:
        return LogReader(async_hook=self.hook)  # type: ignore[attr-defined]  # of the trigger

    @property
    def last_log_time(self) -> Any:
        return self._last_log_time

    @last_log_time.setter
    def last_log_time(self, moment: Any) -> None:
        self._last_log_time = moment and moment.replace(microsecond=0) - _OVERLAP


class StepTrigger(PatientTrigger, KubernetesPodTrigger):  # type: ignore[misc]  # Airflow is untyped for us
    """Looks at a pod of the cluster that Airflow runs in, or that a connection or KUBECONFIG names."""
