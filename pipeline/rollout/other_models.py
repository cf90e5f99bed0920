"""Recognise servers of another model's fleet by what they serve. No configuration is ever sent to them.

A configuration replaces everything that a server has, so one that names this model alone would unload the other one. A
server cannot list its models. So it is asked about every model that is known: those with a file, and those with a
journal or a fleet record.
"""

from functools import cached_property
from pathlib import Path

from pipeline import layout
from pipeline.storage.bucket import Bucket
from serving.model_names import is_model
from serving.replica import Replica


class OtherModels:
    """All known models except one.

    Args:
        model: that one.
        folder: the folder of the model files; it need not exist.
        bucket: holds the journals; None if the bucket is not to be read.
    """

    def __init__(self, model: str, *, folder: Path, bucket: Bucket | None) -> None:
        self.model = model
        self._folder = folder
        self._bucket = bucket

    def served_by(self, replica: Replica) -> str | None:
        """What a replica serves, or is loading, of other models, for example `pets v3`; None if there is nothing.

        Raises:
            ServingError: the replica does not answer.
            StorageError: the list of models cannot be read from the bucket.
        """
        served = []
        for model in self.names:
            versions = sorted(each.version for each in replica.statuses(model) if not each.ended)
            served += [f"{model} v{version}" for version in versions]
        return ", ".join(served) or None

    def without_bucket(self) -> "OtherModels":
        """The same models without those that only the bucket knows, for when the bucket does not answer."""
        return OtherModels(self.model, folder=self._folder, bucket=None)

    @cached_property
    def names(self) -> list[str]:
        """The models by name, read once. A model that is added later has no servers yet.

        Raises:
            StorageError: the list of models cannot be read from the bucket.
        """
        known = {path.stem for path in self._folder.glob("*.yaml")}
        if self._bucket is not None:
            known.update(self._bucket.names(layout.JOURNALS), self._bucket.names(layout.FLEETS))
        return sorted(name for name in known if is_model(name) and name != self.model)


def not_of_this_fleet(address: str, served: str, *, model: str) -> str:
    """A message: the replica belongs to another model's fleet, and which setting to correct."""
    return (
        f"{address} serves {served}, so it is not a replica of {model}, and it was sent no config. Correct the "
        f"replicas of {model}: `understudy fleet show --model {model}` lists them and says where they come from"
    )
