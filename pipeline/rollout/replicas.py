"""The replicas of one model's fleet: what they serve, and whether they belong to this fleet."""

import logging
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from pipeline.clock import Clock
from pipeline.errors import BadInputError, CouldNotTellError
from pipeline.rollout.asking import QUICK_SECONDS, Asking, Reply
from pipeline.rollout.crash_detector import CrashDetector
from pipeline.rollout.other_models import OtherModels, not_of_this_fleet
from pipeline.rollout.placement import Placement
from pipeline.rollout.pod_changes import pods_from_now
from pipeline.rollout.workers import Workers
from serving.errors import DiscoveryError, ServingError, UnreachableError
from serving.fleet.fleet import Fleet
from serving.fleet.pod import PodReplica
from serving.replica import Replica, VersionStatus

log = logging.getLogger(__name__)

T = TypeVar("T")

# How often a fleet is listed again that has too few replicas: one may be restarting.
_LIST_SECONDS = 0.5


@dataclass(frozen=True)
class ReplicaFound:
    """The answers of one replica.

    Attributes:
        address: `host:port`.
        serving: the version that traffic gets; None for none.
        versions: all versions that it has seen since it started.
        problem: why it gave no answer; empty if it answered.
        others: what it serves of other models, as text; None for nothing.
        first_ring: whether it is in the first ring.
        pod: the pod that it is; None if that is unknown.
    """

    address: str
    serving: int | None = None
    versions: tuple[VersionStatus, ...] = ()
    problem: str = ""
    others: str | None = None
    first_ring: bool = False
    pod: PodReplica | None = None


class Replicas:
    """The replicas of one fleet. All that are asked at once share the slots of one set of workers.

    Attributes:
        first_ring: those to which a candidate is exposed first; of the first ring, itself; None if a candidate is
            exposed to all at once.
        fleet: which replicas exist.
        others: the other known models, to recognise a replica of another fleet.
        bucket: the address of the model's bucket, for messages.
        make_workers: new workers to ask replicas with.
    """

    def __init__(
        self,
        *,
        model: str,
        placement: Placement,
        fleet: Fleet,
        others: OtherModels,
        bucket: str,
        rpc_seconds: float,
        silent_seconds: float,
        clock: Clock,
        make_workers: Callable[[], Workers],
        is_first_ring: bool = False,
    ) -> None:
        self.fleet = fleet
        self.first_ring: Replicas | None = self if is_first_ring else None
        self.others = others
        self.bucket = bucket
        self.make_workers = make_workers
        self._model = model
        self._placement = placement
        self._rpc_seconds = rpc_seconds
        self._silent_seconds = silent_seconds
        self._clock = clock
        self._known: Sequence[str] = ()
        if fleet.first_ring is not None:
            self.first_ring = Replicas(
                model=model,
                placement=placement,
                fleet=fleet.first_ring,
                others=others,
                bucket=bucket,
                rpc_seconds=rpc_seconds,
                silent_seconds=silent_seconds,
                clock=clock,
                make_workers=make_workers,
                is_first_ring=True,
            )

    def addresses(self) -> Sequence[str]:
        """The replicas that exist now, as `host:port`.

        Raises:
            CouldNotTellError: that could not be found out.
        """
        try:
            self._known = self.fleet.addresses()
        except DiscoveryError as error:
            raise CouldNotTellError(str(error)) from error
        return self._known

    def known_addresses(self, *, fresh: bool = False) -> Sequence[str]:
        """The same; while they cannot be found out, those that were found last.

        Args:
            fresh: ask for them now. Otherwise they are at most a second old.
        """
        with suppress(DiscoveryError):
            self._known = self.fleet.fresh_addresses() if fresh else self.fleet.addresses()
        return self._known

    def require_enough(self, *, seconds: float) -> None:
        """Check that as many replicas are listed as there should be at least. They are listed again for a while.

        Args:
            seconds: for how long.

        Raises:
            CouldNotTellError: too few are listed, or which ones exist could not be found out; says what to check.
        """
        end = self._clock.monotonic() + seconds
        while problem := self._too_few():
            if self._clock.monotonic() >= end:
                raise CouldNotTellError(problem)
            self._clock.sleep(_LIST_SECONDS)

    def _too_few(self) -> str:
        try:
            problem = self.fleet.shortfall(self.fleet.fresh_addresses())
            if self.fleet.first_ring is not None and not self.fleet.first_ring.addresses():
                problem = problem or "no replica of the first ring is listed"
        except DiscoveryError as error:
            return str(error)
        return problem

    @property
    def expected(self) -> int:
        """How many replicas there should be at least."""
        return self.fleet.expected

    def look(self, addresses: Sequence[str], *, others: OtherModels | None = None) -> list[ReplicaFound]:
        """Ask replicas what they serve, several at once; in the order of the addresses.

        Never raises `ServingError`; that becomes `ReplicaFound.problem`.

        Args:
            addresses: the replicas.
            others: the models to ask about as well; None for this model alone.
        """
        ring, pods = self._addresses_of_first_ring(), self.fleet.pods()

        def found(replica: Replica) -> ReplicaFound:
            unanswered = ReplicaFound(
                replica.address, first_ring=replica.address in ring, pod=pods.get(replica.address)
            )
            try:
                versions = tuple(replica.statuses(self._model))
                serving = replica.version_behind(self._model, self._placement.label) if versions else None
                served = others.served_by(replica) if others else None
            except ServingError as error:
                return replace(unanswered, problem=error.message)
            return replace(unanswered, serving=serving, versions=versions, others=served)

        return self.ask(found, addresses)

    def ask(self, question: Callable[[Replica], T], addresses: Sequence[str]) -> list[T]:
        """The answers of these replicas, in the order of the addresses. Several are asked at once.

        Args:
            question: what to ask; called in several threads. If it raises, no further replica is asked.
            addresses: the replicas.
        """
        answers = {reply.address: reply.answer for reply in self._replies(question, addresses)}
        return [answers[address] for address in addresses]

    def is_loaded_somewhere(self, version: int) -> bool | None:
        """Whether any replica has `version` in memory now; None if none answers within a second, or none is known."""
        answers = set()
        has_loaded = partial(self._has_loaded, version=version)
        with closing(self._replies(has_loaded, self.known_addresses(), seconds=QUICK_SECONDS)) as replies:
            for reply in replies:
                answers.add(reply.answer)
                if reply.answer:
                    return True
        return None if answers <= {None} else False

    @property
    def is_first_ring(self) -> bool:
        """Whether these are the replicas of the first ring."""
        return self.first_ring is self

    def watch_for_crashes(self, *, exposed: bool = False) -> CrashDetector:
        """A new detector for the replicas that answer now; call this right before a candidate is exposed.

        `exposed`: it is exposed to them already. Then a replica without an answer is silent because of that, or may be.
        """
        replies = list(self._replies(self._versions_seen, self.addresses()))
        seen = {reply.address: reply.answer for reply in replies if not isinstance(reply.error, ServingError)}
        return CrashDetector(
            seen,
            silent=[reply.address for reply in replies if reply.address not in seen] if exposed else (),
            first_ring=self._addresses_of_first_ring(),
            silent_seconds=self._silent_seconds,
            now=self._clock.monotonic,
            pods=pods_from_now(self.fleet),
        )

    def _addresses_of_first_ring(self) -> Collection[str]:
        return frozenset(self.first_ring.known_addresses()) if self.first_ring else frozenset()

    def require_own_fleet(self, *, any_is_enough: bool = False) -> None:
        """Check, before anything is changed, that no replica that answers serves another model.

        Args:
            any_is_enough: refuse only if all replicas do, so that none can belong to this fleet.

        Raises:
            BadInputError: names each replica that does, and what it serves.
        """
        _ = self.others.names  # read once here, not once by each thread
        addresses = self.addresses()
        foreign = {}
        with closing(self._replies(self.why_foreign, addresses, seconds=QUICK_SECONDS)) as replies:
            for reply in replies:
                why = None if isinstance(reply.error, ServingError) else reply.answer
                if why:
                    foreign[reply.address] = why
                elif any_is_enough:
                    return
        if foreign:
            raise BadInputError(f"{'; '.join(foreign[each] for each in sorted(foreign))}. Nothing was changed")

    def why_foreign(self, replica: Replica) -> str | None:
        """Why a replica does not belong to this fleet; None if nothing speaks against it.

        Raises:
            ServingError: the replica does not answer.
        """
        served = self.others.served_by(replica)
        return not_of_this_fleet(replica.address, served, model=self._model) if served else None

    def _versions_seen(self, replica: Replica) -> list[int]:
        return [each.version for each in replica.statuses(self._model)]

    def _has_loaded(self, replica: Replica, version: int) -> bool | None:
        try:
            status = replica.status(self._model, version)
        except UnreachableError:
            return None
        except ServingError:
            return False
        return status is not None and status.available

    def _replies(
        self, question: Callable[[Replica], T], addresses: Sequence[str], *, seconds: float | None = None
    ) -> Generator[Reply[T], None, None]:
        """The replies as they come. Close this generator to cancel the questions that have none yet.

        Args:
            question: what to ask; called in several threads.
            addresses: the replicas.
            seconds: the longest that one call may take; None for UNDERSTUDY_RPC_SECONDS.
        """
        with Asking[T](
            self.fleet,
            rpc_seconds=self._rpc_seconds,
            quick_seconds=self._rpc_seconds if seconds is None else seconds,
            clock=self._clock,
            workers=self.make_workers(),
        ) as asking:
            for address in addresses:
                asking.ask(address, question)
            yield from asking.replies()
