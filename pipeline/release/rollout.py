"""The pinned roll-out: make the config agree with the journal, and wait until every replica has followed."""

import logging
from collections.abc import Callable

from pipeline import layout
from pipeline.errors import MissingError
from pipeline.release import config
from pipeline.release.healing import heal_if_stuck
from pipeline.release.journal import History, Journal
from pipeline.release.waiting import Arrival, Goal, Standing, wait_for
from pipeline.settings import Settings
from pipeline.storage import Bucket
from serving.fleet import Fleet
from serving.replica import Replica

log = logging.getLogger(__name__)

# Enough for the poll that is under way and the next one; before that a replica is late, not stuck.
_POLLS_BEFORE_HEALING = 2.5


class Rollout:
    """Effects of the journal on one fleet."""

    def __init__(self, *, model: str, bucket: Bucket, journal: Journal, fleet: Fleet, settings: Settings) -> None:
        self._model = model
        self._bucket = bucket
        self._journal = journal
        self.fleet = fleet
        self._settings = settings

    def settle(self) -> History:
        """Make the config file agree with the last journal entry, and return that history.

        Two may do this at once, one with an older history. Each looks at the journal again after it has written, so
        the last write always renders the last entry.

        Raises:
            StorageError: the bucket refused; the config is an older entry's, and the next verb will try again.
        """
        while True:
            history = self._journal.read()
            text = config.render(model=self._model, base_path=self._base_path, state=history.state, seq=history.seq)
            if self._config() != text:
                self._bucket.replace(layout.config(self._model), text.encode())
            if self._journal.read().seq == history.seq:
                return history

    def rendered_entry(self) -> int | None:
        """The journal entry the config file renders; None where there is no such file, or it is not ours."""
        return config.rendered_entry(self._config())

    def wait_loaded(self, version: int, *, serving: int | None, spare_silent: bool = False) -> Arrival:
        """Wait until every replica has `version` loaded; returns early where a replica says it cannot load it.

        Args:
            version: what to wait for.
            serving: the version the label is on, for replicas that need healing.
            spare_silent: do not wait to the deadline for replicas that give no answer at all.
        """

        def look(replica: Replica) -> Standing:
            status = replica.status(self._model, version)
            if status is None:
                return Standing(replica.address, there=False, told=f"v{version} not seen yet")
            told = f"v{version} {status.state}" + (f": {status.error}" if status.error else "")
            return Standing(replica.address, there=status.available, told=told, hopeless=status.failed)

        return self._wait(
            f"load v{version}",
            look,
            deadline=self._settings.load_seconds,
            label_on=serving,
            spare_silent=spare_silent,
        )

    def wait_followed(self, version: int, *, spare_silent: bool = False) -> Arrival:
        """Wait until the label answers from `version` on every replica; `spare_silent` as in `wait_loaded`."""

        def look(replica: Replica) -> Standing:
            behind = replica.version_behind(self._model, config.LABEL)
            told = "the label answers " + ("nothing" if behind is None else f"v{behind}")
            return Standing(replica.address, there=behind == version, told=told)

        return self._wait(
            f"answer from v{version}",
            look,
            deadline=self._settings.follow_seconds,
            label_on=version,
            spare_silent=spare_silent,
        )

    def wait_gone(self, version: int) -> Arrival:
        """Wait until no replica has `version` loaded."""

        def look(replica: Replica) -> Standing:
            status = replica.status(self._model, version)
            told = f"v{version} " + (status.state if status else "not there")
            return Standing(replica.address, there=status is None or status.ended, told=told)

        return self._wait(f"drop v{version}", look, deadline=self._settings.follow_seconds)

    def _wait(
        self,
        words: str,
        look: Callable[[Replica], Standing],
        *,
        deadline: float,
        label_on: int | None = None,
        spare_silent: bool = False,
    ) -> Arrival:
        def heal(replica: Replica) -> None:
            assert label_on is not None
            done = heal_if_stuck(replica, model=self._model, base_path=self._base_path, serving=label_on)
            if done:
                log.warning("%s", done)

        goal = Goal(
            words=words,
            look=look,
            deadline=deadline,
            silence=self._settings.rpc_seconds if spare_silent else deadline,
            heal=heal if label_on is not None else None,
            heal_every=_POLLS_BEFORE_HEALING * self._settings.config_poll_seconds,
        )
        return wait_for(goal, fleet=self.fleet, rpc_seconds=self._settings.rpc_seconds)

    @property
    def _base_path(self) -> str:
        return self._bucket.uri(layout.versions(self._model))

    def _config(self) -> str:
        try:
            return self._bucket.read(layout.config(self._model)).decode()
        except MissingError:
            return ""
