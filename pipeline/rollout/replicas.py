"""The replicas of one model's fleet: what they serve, and whether they belong to this fleet."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from pipeline.errors import BadInputError
from pipeline.rollout.crash_detector import CrashDetector
from pipeline.rollout.other_models import OtherModels, not_of_this_fleet
from pipeline.rollout.placement import Placement
from serving.errors import ServingError, UnreachableError
from serving.fleet.fleet import Fleet
from serving.replica import Replica, VersionStatus

T = TypeVar("T")


@dataclass(frozen=True)
class ReplicaFound:
    """The answers of one replica.

    Attributes:
        address: `host:port`.
        serving: the version that traffic gets; None for none.
        versions: all versions that it has seen since it started.
        problem: why it gave no answer; empty if it answered.
        others: what it serves of other models, as text; None for nothing.
    """

    address: str
    serving: int | None = None
    versions: tuple[VersionStatus, ...] = ()
    problem: str = ""
    others: str | None = None


class Replicas:
    """The replicas of one fleet.

    Attributes:
        fleet: which replicas exist.
        others: the other known models, to recognise a replica of another fleet.
        bucket: the address of the model's bucket, for messages.
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
        threads: int,
    ) -> None:
        self.fleet = fleet
        self.others = others
        self.bucket = bucket
        self._model = model
        self._placement = placement
        self._rpc_seconds = rpc_seconds
        self._threads = threads

    def addresses(self) -> Sequence[str]:
        """The replicas that exist now, as `host:port`."""
        return self.fleet.addresses()

    @property
    def expected(self) -> int:
        """How many replicas there should be at least."""
        return self.fleet.expected

    def look(self, address: str, *, others: OtherModels | None = None) -> ReplicaFound:
        """Ask one replica what it serves. Never raises `ServingError`; that becomes `ReplicaFound.problem`.

        Args:
            address: the replica.
            others: the models to ask about as well; None for this model alone.
        """
        try:
            with self.connect(address) as replica:
                versions = tuple(replica.statuses(self._model))
                serving = replica.version_behind(self._model, self._placement.label) if versions else None
                served = others.served_by(replica) if others else None
        except ServingError as error:
            return ReplicaFound(address, problem=error.message)
        return ReplicaFound(address, serving, versions, others=served)

    def connect(self, address: str) -> Replica:
        """A connection to one replica. No call on it takes longer than UNDERSTUDY_RPC_SECONDS."""
        return self.fleet.connect(address, timeout=self._rpc_seconds)

    def in_parallel(self, ask: Callable[[str], T], addresses: Sequence[str]) -> list[T]:
        """Call `ask` for every address, several at once; the results in the order of the addresses."""
        with ThreadPoolExecutor(self._threads) as pool:
            return list(pool.map(ask, addresses))

    def is_loaded_somewhere(self, version: int) -> bool | None:
        """Whether any replica has `version` in memory now; None if no replica gives an answer."""
        answers = [self._has_loaded(address, version) for address in self.fleet.addresses()]
        return None if all(answer is None for answer in answers) else any(answers)

    def watch_for_crashes(self) -> CrashDetector:
        """A new detector for the replicas that answer now; call this right before a candidate is exposed."""
        return CrashDetector(self._ask_each(lambda replica: [each.version for each in replica.statuses(self._model)]))

    def require_own_fleet(self, *, any_is_enough: bool = False) -> None:
        """Check, before anything is changed, that no replica that answers serves another model.

        Args:
            any_is_enough: refuse only if all replicas do, so that none can belong to this fleet.

        Raises:
            BadInputError: names each replica that does, and what it serves.
        """
        foreign = list(self.foreign().values())
        if foreign and not (any_is_enough and len(foreign) < len(self.fleet.addresses())):
            raise BadInputError(f"{'; '.join(foreign)}. Nothing was changed")

    def foreign(self) -> dict[str, str]:
        """The replicas that serve another model: the reason by address."""
        _ = self.others.names  # read once here, not once by each thread
        return {address: why for address, why in self._ask_each(self.why_foreign).items() if why}

    def why_foreign(self, replica: Replica) -> str | None:
        """Why a replica does not belong to this fleet; None if nothing speaks against it.

        Raises:
            ServingError: the replica does not answer.
        """
        served = self.others.served_by(replica)
        return not_of_this_fleet(replica.address, served, model=self._model) if served else None

    def _has_loaded(self, address: str, version: int) -> bool | None:
        with self.connect(address) as replica:
            try:
                status = replica.status(self._model, version)
            except UnreachableError:
                return None
            except ServingError:
                return False
        return status is not None and status.available

    def _ask_each(self, question: Callable[[Replica], T]) -> dict[str, T]:
        """The answers by address, of the replicas that give one. Several are asked at once."""

        def ask(address: str) -> dict[str, T]:
            with self.connect(address) as replica, suppress(ServingError):
                return {address: question(replica)}
            return {}

        answers = self.in_parallel(ask, self.addresses())
        return {address: answer for found in answers for address, answer in found.items()}
