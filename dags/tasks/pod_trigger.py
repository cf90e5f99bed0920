"""What Airflow's triggerer does while a step's pod runs: it looks at the pod, and reads its log."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.providers.cncf.kubernetes.triggers.pod import KubernetesPodTrigger

# The scheduler takes a task for failed that is queued again before it has noticed that the task was deferred. It
# notices once in each of its rounds, which take about a second, and several on a busy machine.
HANDOVER_SECONDS = 15


class PatientTrigger:
    """Makes a trigger wait before it looks, and read no log line too few; it comes before that trigger among the bases.

    `last_log_time` is a whole second: a trigger does not show what came in the second in which it reads, and asks the
    next time for what came since. Without that, it may ask for too little, and lines are lost.
    """

    async def run(self) -> AsyncIterator[Any]:
        await asyncio.sleep(HANDOVER_SECONDS)
        async for event in super().run():  # type: ignore[misc]  # of the trigger
            yield event

    def serialize(self) -> tuple[str, dict[str, Any]]:
        _, arguments = super().serialize()  # type: ignore[misc]
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    @property
    def last_log_time(self) -> Any:
        return self._last_log_time

    @last_log_time.setter
    def last_log_time(self, moment: Any) -> None:
        self._last_log_time = moment and moment.replace(microsecond=0)


class StepTrigger(PatientTrigger, KubernetesPodTrigger):  # type: ignore[misc]  # Airflow is untyped for us
    """Looks at a pod of the cluster that Airflow runs in, or that a connection or KUBECONFIG names."""
