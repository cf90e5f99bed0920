"""Whether a run that nobody has asked for would repeat an earlier one. Pure.

A message that there are new images may come twice, may come for each of a thousand images, and may come when they are
in the snapshot already. So what counts is the content: the digest of the data.
"""

from dataclasses import dataclass

from pipeline.errors import DeclinedError


@dataclass(frozen=True)
class DecidedRun:
    """A run whose training has led to a decision, and what it has used.

    Attributes:
        key: its run key.
        data: the digest of its data set, see `SnapshotRecord`.
        decision: a clause, for example `v4 was promoted`.
    """

    key: str
    data: str
    decision: str


def require_new_data(digest: str, *, newest: DecidedRun | None, model: str) -> None:
    """Check that the images differ from those of the newest decided run. None: there is no such run.

    Raises:
        DeclinedError: they are the same; names the run and says how to train on them again.
    """
    if newest is not None and newest.data == digest:
        raise DeclinedError(
            f"an event has started this run, and the images are those of run {newest.key} (data digest {digest[:12]}), "
            f"after which {newest.decision}. Nothing is trained. To train on the same images again, trigger "
            f"`retrain_{model}`"
        )
