"""Put the approved model where servers can find it, complete and verified, under a new number."""

import logging
import uuid

from pipeline import layout
from pipeline.context import Context
from pipeline.errors import DeclinedError, FailedError
from pipeline.records import GateRecord, PublishRecord, TrainRecord
from pipeline.release import decisions

log = logging.getLogger(__name__)


def publish(context: Context) -> PublishRecord:
    """Claim a number, upload to staging, verify, give the folder its number, and say so in the journal.

    A copy that overlaps finds this run's claim and ends with the same number and the same bytes. Servers are told
    nothing yet: their config does not name the version.

    Raises:
        StorageError: the bucket refused; running the verb again resumes.
        FailedError: the bytes in the bucket are not the bytes that were evaluated.
    """
    approval = context.records.need(GateRecord)
    trained = context.records.need(TrainRecord)
    try:
        history = context.journal.decide(
            lambda history: decisions.claim(
                history,
                run_key=context.run_key,
                compared_with=approval.serving_version,
                reason=approval.reason or "approved by the gate",
                verdict=approval.verdict,
            )
        )
    except DeclinedError as declined:
        return PublishRecord(outcome="declined", reason=str(declined), version=0, files={})
    version = history.version_of(context.run_key)
    assert version is not None, "decide() returns a history that holds the claim"
    files = _put(context, version, source=trained.model_key)
    history = context.journal.decide(lambda history: decisions.announce_published(history, version=version))
    context.mirror(history)
    return PublishRecord(version=version, files=files)


def _put(context: Context, version: int, *, source: str) -> dict[str, str]:
    """Make the version's folder appear, whole; the digests of its files."""
    expected = context.bucket.digests(source)
    target = layout.version(context.model, version)
    staged = layout.staging(context.model, context.run_key, uuid.uuid4().hex)
    try:
        if not context.bucket.exists(target):
            context.bucket.copy(source, staged)
            _verify(context, staged, expected)
            context.bucket.move(staged, target)
        _verify(context, target, expected)
    finally:
        context.bucket.remove(staged)
    log.info("%s holds %d files", target, len(expected))
    return expected


def _verify(context: Context, key: str, expected: dict[str, str]) -> None:
    found = context.bucket.digests(key)
    if found != expected:
        wrong = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
        raise FailedError(
            f"{key} differs from the evaluated model in {', '.join(wrong)}; the disk or a hand changed it"
        )
