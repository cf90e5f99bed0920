"""Put the approved model where servers can find it, complete and verified, under a new number."""

import logging
from functools import partial

from pipeline.context import RunContext
from pipeline.errors import DeclinedError
from pipeline.journal.manifests import Manifest, make_manifest
from pipeline.rules import holds
from pipeline.rules import run as run_rules
from pipeline.runs.records import GateRecord, ProbeSet, PublishRecord, SnapshotRecord, SpecRecord, TrainRecord
from pipeline.spec import RunSpec
from pipeline.storage.sums import content_digest
from pipeline.tracking.tags import refusal_tags

log = logging.getLogger(__name__)


def publish(context: RunContext) -> PublishRecord:
    """Claim a number, write its manifest, copy the model, prove the copy, and say so in the journal.

    A copy that overlaps, or that comes after a crash at any of these, finds this run's claim and ends with the same
    number and the same bytes. Servers know nothing of it yet.

    Raises:
        BadInputError: it is to be signed and cannot be; nothing was changed.
        DamagedError: the bytes in the bucket are not the bytes that were evaluated; names each file.
        FailedError: the same model was withdrawn before and has not been readmitted.
        StorageError: the bucket refused; running the verb again resumes.
    """
    context.manifests.signatures.require_ready()
    approval = context.records.require(GateRecord)
    trained = context.records.require(TrainRecord)
    try:
        rule = partial(
            run_rules.claim,
            run_key=context.run_key,
            compared_with=approval.serving_version,
            reason=_reason(approval, context.records.require(SpecRecord).spec),
            verdict=approval.verdict,
            digest=content_digest(trained.files),
        )
        history = context.journal.decide(holds.declined_if_held(rule, now=context.clock.now(), model=context.model))
    except DeclinedError as declined:
        context.tag_run(refusal_tags("declined by publish", str(declined)))
        return PublishRecord(outcome="declined", reason=str(declined), version=0)
    version = history.version_of(context.run_key)
    assert version is not None, "decide() returns a history that holds the claim"
    manifest = _manifest(context, version)
    digest = context.manifests.write(manifest)
    folder = context.manifests.folder(version, history)
    context.bucket.copy(trained.model_key, folder, expected=manifest.files)
    log.info("%s holds %d files, as they were evaluated", folder, len(manifest.files))
    context.journal.decide(lambda history: run_rules.announce_published(history, version=version, manifest=digest))
    context.rollout.settle()
    return PublishRecord(version=version, files=len(manifest.files), manifest=digest)


def _reason(approval: GateRecord, run: RunSpec) -> str:
    """Why there is this version, with what a person has noted; of a run that was forced that is the reason already."""
    if approval.reason or not run.note.strip():
        return approval.reason or "approved by the gate"
    return f"approved by the gate; {run.requested_by} has noted: {run.note}"


def _manifest(context: RunContext, version: int) -> Manifest:
    require = context.records.require
    return make_manifest(
        version,
        spec=require(SpecRecord),
        data=require(SnapshotRecord),
        trained=require(TrainRecord),
        probes=require(ProbeSet),
        gate=require(GateRecord),
    )
