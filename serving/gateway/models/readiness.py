"""Whether each model answers, asked in the background, so that a probe costs nothing and never waits.

The gateway is ready if at least one of its models answers. A gateway that is not ready gets no traffic at all, from
Kubernetes as from any load balancer. So one model that is down must not take the others offline: requests for it are
answered with 503 and the reason, and requests for the others go on.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from serving.errors import DiscoveryError, ServingError
from serving.gateway.errors import of_serving
from serving.gateway.models.models import Model

# Between two rounds of questions.
EVERY_SECONDS = 2.0
TIMEOUT_SECONDS = 1.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelState:
    """Of one model.

    Attributes:
        version: the one that answered; None if none did.
        reason: why not; empty if one did. Without addresses: everybody may read it.
    """

    version: int | None
    reason: str = ""

    @property
    def ready(self) -> bool:
        return self.version is not None


class Readiness:
    """The last state of each model.

    Args:
        models: those of the gateway.
        stopping: true when the process ends soon and should get no further requests; it may change at any time.

    Attributes:
        states: by name.
    """

    def __init__(self, models: Mapping[str, Model], *, stopping: object = False) -> None:
        self._models = models
        self._stopping = stopping
        self.states: Mapping[str, ModelState] = {
            name: ModelState(None, f"{name} has not been asked yet") for name in models
        }

    @property
    def stopping(self) -> bool:
        return bool(self._stopping)

    @property
    def ready(self) -> bool:
        return not self.stopping and any(state.ready for state in self.states.values())

    async def run(self) -> None:
        """Ask every model again and again, until it is cancelled."""
        while True:
            await self.ask()
            await asyncio.sleep(EVERY_SECONDS)

    async def ask(self) -> None:
        """Ask every model once. Takes little more than TIMEOUT_SECONDS."""
        states = await asyncio.gather(*map(_state, self._models.values()))
        self.states = dict(zip(self._models, states, strict=True))


async def _state(model: Model) -> ModelState:
    """Whether the version behind the label says what it takes.

    Every model server answers that, whatever the model takes, and no queue of predictions delays it.
    """
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS + 0.5):
            metadata = await model.client.metadata(model.name, timeout=TIMEOUT_SECONDS)
    except TimeoutError:
        return ModelState(None, f"{model.name} did not answer in time")
    except (ServingError, DiscoveryError) as error:
        return ModelState(None, of_serving(error, model.name).message)
    except Exception:
        # Whatever it is, the next round is due: nothing else asks this model again.
        logger.exception("whether %s answers could not be found out", model.name)
        return ModelState(None, f"whether {model.name} answers could not be found out; the log says why")
    return ModelState(metadata.version)
