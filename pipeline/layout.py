"""Where everything is in the bucket. No other module builds these paths.

    data/<model>/<sha256>.<suffix>        images, each stored once under its content
    snapshots/<model>/<moment>-<digest>/  the list of all images of a snapshot, see `pipeline.data.snapshot.manifests`
    snapshots/<model>/parts/<name>/       what a snapshot that was interrupted has read
    snapshots/<model>/lost/<name>/missed  an image or a manifest that a run has missed: the next snapshot repairs it
    runs/<model>/<key>/<record>.json      what each verb of a run left
    runs/<model>/<key>/attempts/...       verdicts that did not end the run
    runs/<model>/<key>/data-report-<digest>/  what `snapshot` has found in the images, for people
    runs/<model>/<key>/model-<digest>/    the exported SavedModel
    runs/<model>/<key>/epochs/<name>/     where a training that was interrupted resumes
    baselines/<model>/<digests>.json      a model's answers on one data set, computed once
    journal/<model>/<seq>.json            the one truth, append-only
    checkpoints/<model>/<seq>-<digest>.json  what the entries up to one say; may be deleted while they are there
    checkpoints/<model>/pages/<page>-<digest>.json  the parts of checkpoints, shared by them
    serve/<model>/<version>/...           what TensorFlow Serving reads: complete or absent
    serve/<model>.config                  TensorFlow Serving's model config, rendered from the last journal entry
    first_ring/<model>.config             the same for the replicas of the first ring, where a fleet has one
    first_ring/<model>/<version>/...      what they read in the latest roll-out
    published/<model>/<version>/...       every published version, where no server looks (latest roll-out)
    manifests/<model>/<version>.json      what was approved under that number
    manifests/<model>/<version>.json.sig  who stands behind it, where manifests are signed
    fleets/<model>/<n>.json               which servers there are, and how they are used; the highest number counts
    bucket.json                           the random id of this bucket, see `pipeline.storage.identity`

Keys are POSIX paths relative to the bucket's root.
"""

import re
from collections.abc import Iterable
from datetime import datetime

# What TensorFlow Serving would accept as a version is wider ("007", "+5"); what we write and read is not.
_VERSION = re.compile(r"[1-9][0-9]{0,17}")
_SEQUENCE = re.compile(r"[0-9]{8}\.json")
_CHECKPOINT = re.compile(r"([0-9]{8})-([0-9a-f]{16})\.json")
_SNAPSHOT = re.compile(r"[0-9]{8}T[0-9]{12}Z-[0-9a-f]{16}")


def images(model: str) -> str:
    return f"data/{model}"


def image(model: str, digest: str, suffix: str) -> str:
    return f"data/{model}/{digest}{suffix}"


def snapshots(model: str) -> str:
    return f"snapshots/{model}"


def snapshot_manifest(model: str, moment: str, digest: str) -> str:
    return f"snapshots/{model}/{moment}-{digest[:16]}"


def is_snapshot_manifest(name: str) -> bool:
    """Whether a name in the folder of the snapshots is that of a manifest."""
    return _SNAPSHOT.fullmatch(name) is not None


def snapshot_moment(name: str) -> datetime | None:
    """When the snapshot with this manifest began; None for a name that is not that of a manifest."""
    if not is_snapshot_manifest(name):
        return None
    try:
        return datetime.strptime(name.partition("-")[0], "%Y%m%dT%H%M%S%f%z")  # Z is UTC
    except ValueError:  # the digits are not a date
        return None


def snapshot_parts(model: str) -> str:
    return f"snapshots/{model}/parts"


def all_lost(model: str) -> str:
    return f"snapshots/{model}/lost"


def lost(model: str, name: str) -> str:
    return f"snapshots/{model}/lost/{name}"


def lost_note(model: str, name: str) -> str:
    return f"snapshots/{model}/lost/{name}/missed"


def runs(model: str) -> str:
    return f"runs/{model}"


def run(model: str, key: str) -> str:
    return f"runs/{model}/{key}"


def record(model: str, key: str, name: str) -> str:
    return f"runs/{model}/{key}/{name}.json"


def attempt(model: str, key: str, name: str, moment: str) -> str:
    return f"runs/{model}/{key}/attempts/{moment}-{name}.json"


def attempts(model: str, key: str) -> str:
    return f"runs/{model}/{key}/attempts"


def exported(model: str, key: str, digest: str) -> str:
    return f"runs/{model}/{key}/model-{digest[:16]}"


def checkpoints(model: str, key: str) -> str:
    return f"runs/{model}/{key}/epochs"


def checkpoint(model: str, key: str, name: str) -> str:
    return f"runs/{model}/{key}/epochs/{name}"


def data_report(model: str, key: str, digest: str) -> str:
    return f"runs/{model}/{key}/data-report-{digest[:16]}"


def baseline(model: str, model_digest: str, data_digest: str) -> str:
    return f"baselines/{model}/{model_digest[:16]}-{data_digest[:16]}.json"


IDENTITY = "bucket.json"

# A folder for each model that has a fleet record.
FLEETS = "fleets"


def fleets(model: str) -> str:
    return f"{FLEETS}/{model}"


def fleet(model: str, number: int) -> str:
    return f"{FLEETS}/{model}/{number}.json"


def fleet_number(name: str) -> int | None:
    """The inverse of `fleet` for a name in the model's folder; None for anything else that lies there."""
    return version_number(name.removesuffix(".json")) if name.endswith(".json") else None


# A folder for each model that was ever released.
JOURNALS = "journal"


def journal(model: str) -> str:
    return f"{JOURNALS}/{model}"


def entry(model: str, sequence: int) -> str:
    return f"journal/{model}/{entry_name(sequence)}"


def entry_name(sequence: int) -> str:
    """The name of an entry in the journal's folder. Names sort as their numbers do."""
    return f"{sequence:08d}.json"


def entry_sequence(name: str) -> int | None:
    """The inverse of `entry` for a name in the journal's folder; None for anything else that lies there."""
    return int(name.removesuffix(".json")) if _SEQUENCE.fullmatch(name) else None


def journal_checkpoints(model: str) -> str:
    return f"checkpoints/{model}"


def journal_checkpoint(model: str, sequence: int, digest: str) -> str:
    """The checkpoint of an entry with a SHA-256."""
    return f"checkpoints/{model}/{sequence:08d}-{digest[:16]}.json"


def checkpoint_entry(name: str) -> tuple[int, str] | None:
    """The number of the entry of a checkpoint, and the beginning of its SHA-256; None for any other name."""
    found = _CHECKPOINT.fullmatch(name)
    return (int(found[1]), found[2]) if found else None


def journal_pages(model: str) -> str:
    return f"checkpoints/{model}/pages"


def journal_page(model: str, name: str, digest: str) -> str:
    return f"checkpoints/{model}/pages/{name}-{digest[:32]}.json"


def versions(model: str) -> str:
    return f"serve/{model}"


def version(model: str, number: int) -> str:
    return f"serve/{model}/{number}"


def all_published(model: str) -> str:
    return f"published/{model}"


def published(model: str, number: int) -> str:
    return f"published/{model}/{number}"


def version_number(name: str) -> int | None:
    """The inverse of `version` for a name in the model's folder; None for anything we would not have written."""
    return int(name) if _VERSION.fullmatch(name) else None


def version_numbers(names: Iterable[str]) -> frozenset[int]:
    """Those of the names that a server would take for a version."""
    return frozenset(number for name in names if (number := version_number(name)) is not None)


def config(model: str) -> str:
    return f"serve/{model}.config"


FIRST_RING = "first_ring"


def first_ring_versions(model: str) -> str:
    return f"{FIRST_RING}/{model}"


def first_ring_version(model: str, number: int) -> str:
    return f"{FIRST_RING}/{model}/{number}"


def first_ring_config(model: str) -> str:
    return f"{FIRST_RING}/{model}.config"


def manifest(model: str, number: int) -> str:
    return f"manifests/{model}/{number}.json"


def signature(model: str, number: int) -> str:
    return f"{manifest(model, number)}.sig"
