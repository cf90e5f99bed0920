"""Servers of another model's fleet: recognised by what they serve, and never sent a configuration.

A configuration replaces all that a server has, so one that names this model alone would unload the other one. A server
cannot list its models. It is asked about every model that is known here: those with a file, and those with a journal.
"""

from functools import cached_property
from pathlib import Path

from pipeline import layout
from pipeline.storage.bucket import Bucket
from serving.replica import Replica


class OtherModels:
    """Every model but one that is known here.

    Args:
        model: the one.
        folder: has the model files; it need not exist.
        bucket: has the journals; None where it is not to be asked.
    """

    def __init__(self, model: str, *, folder: Path, bucket: Bucket | None) -> None:
        self.model = model
        self._folder = folder
        self._bucket = bucket

    def served_by(self, replica: Replica) -> str | None:
        """What a replica serves, or is about to, of other models, for example `pets v3`; None where it is nothing.

        Raises:
            ServingError: the replica does not answer.
            StorageError: the bucket does not say which models there are.
        """
        served = []
        for model in self.names:
            versions = sorted(each.version for each in replica.statuses(model) if not each.ended)
            served += [f"{model} v{version}" for version in versions]
        return ", ".join(served) or None

    def without_bucket(self) -> "OtherModels":
        """The same without asking the bucket, which does not answer."""
        return OtherModels(self.model, folder=self._folder, bucket=None)

    @cached_property
    def names(self) -> list[str]:
        """The models, by name; asked for once. A model that is new since then has no servers yet.

        Raises:
            StorageError: the bucket does not say.
        """
        known = {path.stem for path in self._folder.glob("*.yaml")}
        if self._bucket is not None:
            known.update(self._bucket.names(layout.JOURNALS))
        return sorted(name for name in known if layout.is_model(name) and name != self.model)


def not_of_this_fleet(address: str, served: str, *, model: str) -> str:
    """Say that a replica is of another model's fleet, and what to correct."""
    return (
        f"{address} serves {served}, so it is not a replica of {model} and is sent no config: correct "
        f"UNDERSTUDY_REPLICAS, which must list the replicas of {model}"
    )
