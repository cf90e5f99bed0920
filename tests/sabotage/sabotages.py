"""What a candidate does to the server that loads it. It is written into the files of the model.

A server of `tests.sabotage.server` reads it when it loads the model, and does it itself: nobody outside knows when.
"""

from dataclasses import dataclass
from typing import Any, Literal

How = Literal["kill", "abort", "stop", "hang", "sleep"]


@dataclass(frozen=True)
class Sabotage:
    """One sabotage, for a model server.

    Attributes:
        name: for people.
        how: `kill`: the process ends by SIGKILL. `abort`: it takes memory until its limit (RLIMIT_AS), and aborts, as
            TensorFlow does when an allocation fails. `stop`: the whole process stops by SIGSTOP. `hang`: the thread
            waits for ever. `sleep`: the thread waits for `seconds`.
        request: at which request to the model it happens, from 1; 0 while the model is loaded.
        warm_up: the model brings a request that the server sends to it after the load, before it is available.
        seconds: see `how`.
        spares_first_ring: it happens on the other replicas only, as if they had less memory.
        liveness_seconds: after how many seconds a stopped process is killed, as a kubelet does.
    """

    name: str
    how: How
    request: int = 0
    warm_up: bool = False
    seconds: float = 0.0
    spares_first_ring: bool = False
    liveness_seconds: float = 3.0

    def settings(self) -> dict[str, Any]:
        """What is written into the files of the model; see `tests.fleet.write_classifier`."""
        known = {
            "how": self.how,
            "request": self.request,
            "seconds": self.seconds,
            "spares_first_ring": self.spares_first_ring,
        }
        return {"sabotage": known, "warm_up": self.warm_up}


# Longer than the deadline for a load in the trials.
SLOW_SECONDS = 9.0

KILLED_AT_LOAD = Sabotage("killed at load", "kill")
KILLED_AT_WARM_UP = Sabotage("killed at warm-up", "kill", request=1, warm_up=True)
OUT_OF_MEMORY = Sabotage("takes all memory at load", "abort")
# The canary asks 16 times, and 16 times again when the first ring has been observed.
KILLED_AT_REQUEST_5 = Sabotage("killed at the 5th request", "kill", request=5)
KILLED_AT_REQUEST_20 = Sabotage("killed at the 20th request", "kill", request=20)
# In the latest roll-out users ask the candidate too.
KILLED_AT_REQUEST_60 = Sabotage("killed at the 60th request", "kill", request=60)
STOPS_AT_LOAD = Sabotage("stops answering at load", "stop")
STOPS_AT_REQUEST_5 = Sabotage("stops answering at the 5th request", "stop", request=5)
# Longer than anybody should wait for a server that gives no answer.
STOPS_FOR_LONG = Sabotage("stops answering at the 5th request, for long", "stop", request=5, liveness_seconds=15.0)
HANGS_AT_LOAD = Sabotage("hangs at load", "hang")
SLOW_LOAD = Sabotage("loads for longer than the deadline", "sleep", seconds=SLOW_SECONDS)
KILLED_BEYOND_THE_RING = Sabotage("killed at load, not in the first ring", "kill", spares_first_ring=True)
