"""What must hold of a first ring, from what servers and the bucket show. It shares no rule with the product."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from pipeline import layout
from pipeline.errors import MissingError
from pipeline.journal.entries import TAKEN_BACK, Entry, Event
from pipeline.journal.history import History
from pipeline.storage.bucket import Bucket
from pipeline.verdicts.verdict import Decision
from tests.protocol.loading import parse
from tests.protocol.process import Process
from tests.protocol.simulated import SimulatedReplica

# Bytes that are the same where two versions have the same model.
Content = Callable[[int, History], bytes]


class RingWatch:
    """Looks on while candidates are proven in the first ring.

    Attributes:
        proven: the versions that other replicas may have: every replica of the ring had them, and was asked.
    """

    def __init__(
        self,
        bucket: Bucket,
        model: str,
        *,
        ring: Sequence[SimulatedReplica],
        fleet: Callable[[], Iterable[SimulatedReplica]],
        dark: bool,
        content: Content,
    ) -> None:
        """Nothing is proven yet.

        Args:
            bucket: where servers look.
            model: the model.
            ring: the replicas of the first ring.
            fleet: all replicas that are listed now.
            dark: whether servers poll a config.
            content: see above.
        """
        self.proven: set[int] = set()
        self._bucket = bucket
        self._model = model
        self._ring = ring
        self._fleet = fleet
        self._dark = dark
        self._content = content
        self._answers: set[tuple[Process, int]] = set()
        self._killers: set[bytes] = set()

    def answered(self, address: str, version: int) -> None:
        """Note that a replica has answered a question about a version: the process that lives now has."""
        for replica in self._ring:
            if replica.address == address and replica.process is not None:
                self._answers.add((replica.process, version))

    def decided(self, entry: Entry) -> None:
        """Check, when it is written, that an entry exposes nothing to other replicas that the ring has not passed."""
        if entry.event is Event.REISSUED and entry.copy_of in self.proven:
            self.proven.add(entry.version)
        if entry.event is not Event.EXPOSED_EVERYWHERE:
            return
        version = entry.version
        passed = entry.verdict is not None and entry.verdict.decision is Decision.PASS
        assert passed, f"ring: v{version} is exposed everywhere with the verdict {entry.verdict}"
        for replica in self._ring:
            process = replica.process
            assert process is not None, f"ring: v{version} is exposed everywhere, and {replica.address} does not run"
            assert not replica.gives_no_answer, f"ring: v{version} is exposed everywhere, and {replica.address} hangs"
            loaded = [status.version for status in process.statuses() if status.available]
            assert version in loaded, f"ring: v{version} is exposed everywhere, and {replica.address} has {loaded}"
            assert (process, version) in self._answers, (
                f"ring: v{version} is exposed everywhere, and the process of {replica.address} was never asked about it"
            )
        self.proven.add(version)

    def after_effect(self, key: str) -> None:
        """Check what other replicas find."""
        if self._dark and key == layout.config(self._model):
            self._require_proven(_named(self._bucket, key), "their config names")
        elif not self._dark and key.startswith(f"{layout.versions(self._model)}/"):
            self._require_proven(map(int, self._bucket.names(layout.versions(self._model))), "their base path has")

    def after_act(self) -> None:
        """Check what other replicas have in memory, whether they answer or not."""
        for replica in self._fleet():
            if replica not in self._ring:
                self._require_proven(replica.in_memory, f"{replica.address} has")

    def _require_proven(self, versions: Iterable[int], where: str) -> None:
        early = sorted(set(versions) - self.proven)
        assert not early, f"ring: {where} v{early}, and the first ring has not passed that"

    def is_well(self) -> bool:
        """Whether every replica of the ring answers."""
        return all(replica.process is not None and not replica.gives_no_answer for replica in self._ring)

    def ended(self) -> Counter[int]:
        """How many processes of the ring have ended, by the version that they ended on."""
        return sum((replica.faults.ended for replica in self._ring), Counter())

    def after_canary(self, version: int, history: History, *, ended: int) -> None:
        """Check what has become of a candidate on which so many processes of the ring ended during its canary.

        One that ends a process is declined; the second one with the same model is withdrawn.
        """
        if not ended:
            return
        entry = history.of_version(version, *TAKEN_BACK)
        assert entry is not None, f"ring: v{version} has ended a server, and is not taken back: {history.state}"
        content = self._content(version, history)
        if ended == 1:
            wanted = Event.WITHDRAWN if content in self._killers else Event.DECLINED
            assert entry.event is wanted, f"ring: v{version} has ended a server, and is {entry.event}, not {wanted}"
        self._killers.add(content)


def _named(bucket: Bucket, key: str) -> Iterable[int]:
    try:
        config = parse(bucket.read(key))
    except MissingError:
        return
    assert config is not None, "the config cannot be read"
    for model in config.model_config_list.config:
        yield from model.model_version_policy.specific.versions
        yield from model.version_labels.values()
