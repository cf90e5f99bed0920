"""What a test orders to go wrong: with pods, and with requests."""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from tests.kubernetes.resources import Request

PodFaultKind = Literal["unpullable", "unschedulable", "killed", "oom", "evicted", "lost", "collected"]
VERB_LABEL = "understudy/verb"


@dataclass(kw_only=True)
class PodFault:
    """A fault of pods.

    Attributes:
        kind: unpullable: the image cannot be pulled; unschedulable: no node has room; killed: SIGKILL; oom: killed for
            its memory; evicted: by a node without memory; lost: the pod is gone, with its node; collected: the pod is
            deleted as soon as it has succeeded.
        verb: of the pods, see the label understudy/verb; empty for all.
        where: another condition on the pod.
        times: how many pods have it; None for all.
        after: seconds after the start of the container.
        line: a part of a line of the log: it happens then.
        lasts: seconds until an image can be pulled, or a node has room, after all; None for ever.
        until: a node has room as soon as this is so; instead of `lasts`.
        message: what Kubernetes says, if not what it usually does.
        without_status: an evicted pod has no status of its container.
        met: how many pods have had it.
    """

    kind: PodFaultKind
    verb: str = ""
    where: Callable[[Mapping[str, Any]], bool] = lambda _: True
    times: int | None = 1
    after: float = 0.0
    line: str = ""
    lasts: float | None = None
    until: Callable[[], bool] = lambda: False
    message: str = ""
    without_status: bool = False
    met: int = 0

    def meets(self, pod: Mapping[str, Any]) -> bool:
        labels = pod["metadata"].get("labels") or {}
        return self.times != 0 and self.verb in ("", labels.get(VERB_LABEL)) and self.where(pod)

    def begin(self) -> None:
        """Count a pod that has the fault."""
        self.met += 1
        if self.times is not None:
            self.times -= 1


@dataclass(kw_only=True)
class RequestFault:
    """A fault of requests.

    Attributes:
        status: what the API answers; 0: it closes the connection.
        done: the request is carried out, before the connection is closed.
        cut_after: for watches and logs: close the connection after so many events or lines. None for an answer.
        verbs: of the requests, for example `watch`; empty for all.
        resources: `pods`, `pods/log`, ...; empty for all.
        times: how many requests have it; None for all.
        seconds: how long, from the first request on that has it; None for ever.
        retry_after: seconds, for the header of a 429.
        message: what the API says, if not what it usually does.
        met: how many requests have had it.
    """

    status: int = 0
    done: bool = False
    cut_after: int | None = None
    verbs: Collection[str] = ()
    resources: Collection[str] = ()
    where: Callable[[Request], bool] = lambda _: True
    times: int | None = None
    seconds: float | None = None
    retry_after: int | None = None
    message: str = ""
    met: int = 0
    _ends: float | None = None

    def meets(self, request: Request) -> bool:
        verb, resource = request.right
        named = (not self.verbs or verb in self.verbs) and (not self.resources or resource in self.resources)
        return self.times != 0 and not self.is_over() and named and self.where(request)

    def begin(self) -> None:
        """Count a request that has the fault."""
        self.met += 1
        if self.times is not None:
            self.times -= 1
        if self.seconds is not None and self._ends is None:
            self._ends = time.monotonic() + self.seconds

    def is_over(self) -> bool:
        return self._ends is not None and time.monotonic() >= self._ends


@dataclass
class Faults:
    """Those that are ordered. Order more, or clear them, at any time."""

    pods: list[PodFault] = field(default_factory=list)
    requests: list[RequestFault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._unreachable_until = 0.0

    def order(self, *faults: PodFault | RequestFault) -> None:
        with self._lock:
            self.pods += [each for each in faults if isinstance(each, PodFault)]
            self.requests += [each for each in faults if isinstance(each, RequestFault)]

    def clear(self) -> None:
        with self._lock:
            self.pods, self.requests, self._unreachable_until = [], [], 0.0

    def make_unreachable(self, seconds: float) -> None:
        """Close every connection for so long, before TLS begins."""
        self._unreachable_until = time.monotonic() + seconds

    @property
    def unreachable(self) -> bool:
        return time.monotonic() < self._unreachable_until

    def of_pod(self, pod: Mapping[str, Any], kinds: Collection[str] = get_args(PodFaultKind)) -> PodFault | None:
        """The first one of these kinds that the pod has; it is counted."""
        with self._lock:
            found = next((each for each in self.pods if each.kind in kinds and each.meets(pod)), None)
            if found is not None:
                found.begin()
            return found

    def of_request(self, request: Request) -> RequestFault | None:
        """The first one that the request has; it is counted."""
        with self._lock:
            found = next((each for each in self.requests if each.meets(request)), None)
            if found is not None:
                found.begin()
            return found


def parse_pod_fault(text: str) -> PodFault:
    """`KIND[:verb=VERB][:times=N|always][:after=SECONDS][:line=TEXT][:lasts=SECONDS]`, see PodFault.

    For example `killed:verb=train:line=epoch 2`.

    Raises:
        ValueError: it is none.
    """
    kind, *parts = text.split(":")
    given = dict(part.partition("=")[::2] for part in parts)
    if kind not in get_args(PodFaultKind) or not given.keys() <= {"verb", "times", "after", "line", "lasts"}:
        raise ValueError(
            f"{text!r} is no fault. Write KIND:verb=VERB:times=N, KIND is one of {get_args(PodFaultKind)}."
        )
    times = given.get("times", "1")
    return PodFault(
        kind=cast("PodFaultKind", kind),
        verb=given.get("verb", ""),
        times=None if times == "always" else int(times),
        after=float(given.get("after", "0")),
        line=given.get("line", ""),
        lasts=float(given["lasts"]) if "lasts" in given else None,
    )
