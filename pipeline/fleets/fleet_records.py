"""The fleet records of one model, `fleets/<model>/<n>.json`: numbered from 1, never changed; the highest counts."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from pipeline import layout
from pipeline.errors import DamagedError
from pipeline.fleets.fleet_spec import FleetSpec
from pipeline.storage.bucket import Bucket
from pipeline.stored import stored


class FleetRecord(BaseModel):
    """One fleet record, as it is stored.

    Attributes:
        number: its number, from 1.
        at: when it was written, in UTC.
        actor: who wrote it.
        reason: why, for people.
        fleet: the fleet from then on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    at: datetime
    actor: str
    reason: str
    fleet: FleetSpec


class FleetRecords:
    """The fleet records of one model."""

    def __init__(self, bucket: Bucket, model: str) -> None:
        self._bucket = bucket
        self._model = model

    def newest(self) -> FleetRecord | None:
        """The record that counts; None if there is none.

        Raises:
            StorageError: the bucket does not answer, or the record cannot be read.
        """
        numbers = self._numbers()
        return self._read(numbers[-1]) if numbers else None

    def all(self) -> list[FleetRecord]:
        """Every record, the oldest first.

        Raises:
            StorageError: the bucket does not answer, or a record cannot be read.
        """
        return [self._read(number) for number in self._numbers()]

    def create(self, record: FleetRecord) -> bool:
        """Store a record under its number; False if that number is taken.

        Raises:
            StorageError: it is not known whether the record was stored.
        """
        return self._bucket.create(self.key(record.number), record.model_dump_json(indent=1).encode())

    def key(self, number: int) -> str:
        """Where the record is in the bucket."""
        return layout.fleet(self._model, number)

    def _numbers(self) -> list[int]:
        names = self._bucket.names(layout.fleets(self._model))
        return sorted(number for name in names if (number := layout.fleet_number(name)) is not None)

    def _read(self, number: int) -> FleetRecord:
        key = self.key(number)
        record = stored(FleetRecord, self._bucket.read(key), key=key, what="a fleet record")
        if record.number != number:
            raise DamagedError(f"{key} holds fleet record {record.number}; restore both as they were written")
        return record
