"""The records of one run, as JSON under `runs/<model>/<key>/`.

A record is created once and never changed: it is the final answer of its verb for its run key. A verb that finds its
record returns it and does not work again. If two copies work at once, the first to finish decides the answer.
"""

import logging
from datetime import UTC, datetime
from typing import TypeVar

from pipeline import layout
from pipeline.errors import BadInputError, DamagedError, MissingError
from pipeline.runs.records import LEFT_BY, NAMES, Record
from pipeline.storage.bucket import Bucket
from pipeline.stored import stored
from pipeline.verdicts.verdict import Verdict

R = TypeVar("R", bound=Record)

log = logging.getLogger(__name__)

# Names of attempts begin with it, so that they sort by time.
_MOMENT = "%Y%m%dT%H%M%S%fZ"


class RunRecords:
    """The records of one run of one model. Nothing is read before a method is called."""

    def __init__(self, bucket: Bucket, model: str, key: str) -> None:
        self._bucket = bucket
        self._model = model
        self._key = key

    def find(self, kind: type[R]) -> R | None:
        """The record of a verb; None if it has left none.

        Raises:
            DamagedError: the stored text is not such a record.
            NewerVersionError: a newer version wrote it.
        """
        key = layout.record(self._model, self._key, NAMES[kind])
        try:
            content = self._bucket.read(key)
        except MissingError:
            return None
        return stored(kind, content, key=key, what=f"a record of {NAMES[kind]}")

    def require(self, kind: type[R]) -> R:
        """The record of an earlier verb.

        Raises:
            BadInputError: that verb has not finished for this run, or it declined.
            DamagedError: the stored text is not such a record.
            NewerVersionError: a newer version wrote it.
        """
        record = self.find(kind)
        if record is None:
            verb = LEFT_BY.get(kind, NAMES[kind])
            raise BadInputError(
                f"run {self._key} of {self._model} has no {NAMES[kind]} record. Run `understudy {verb} --model "
                f"{self._model} --run {self._key}` first"
            )
        if record.outcome == "declined":
            raise BadInputError(f"run {self._key} of {self._model} was declined by {NAMES[kind]}: {record.reason}")
        return record

    def finish(self, record: R) -> R:
        """Store `record` as the final answer of its verb. If another copy was first, its record is returned instead."""
        kind = type(record)
        content = record.model_dump_json(indent=1).encode()
        if self._bucket.create(layout.record(self._model, self._key, NAMES[kind]), content):
            return record
        return self.find(kind) or record

    def note_attempt(self, name: str, verdict: Verdict) -> None:
        """Keep a verdict that did not end the run: the durable reason for what follows. `name` is the verb."""
        key = layout.attempt(self._model, self._key, name, f"{datetime.now(UTC):{_MOMENT}}")
        self._bucket.create(key, verdict.model_dump_json(indent=1).encode())

    def last_attempt(self, *, of: str | None = None) -> Verdict | None:
        """The newest verdict that did not end the run, of the verb `of` or of any; damaged ones are skipped.

        Raises:
            NewerVersionError: a newer version wrote it.
        """
        folder = layout.attempts(self._model, self._key)
        names = [name for name in self._bucket.names(folder) if of is None or name.endswith(f"-{of}.json")]
        for name in reversed(names):
            key = f"{folder}/{name}"
            try:
                return stored(Verdict, self._bucket.read(key), key=key, what="a verdict")
            except DamagedError:
                log.warning("%s is not a verdict and is ignored", key)
        return None
