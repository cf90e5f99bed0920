"""Freeze what a run depends on: the model with this run's overrides, and the data as it is now."""

import logging

from pipeline.context import RunContext
from pipeline.data.snapshot.examined import Examined, require_usable, summary
from pipeline.data.snapshot.importing import examined
from pipeline.errors import BadInputError, DeclinedError, FailedError
from pipeline.inspection.decided_runs import run_to_repeat
from pipeline.inspection.judged_data import judge, report_of, store_report, suspects_of
from pipeline.inspection.served_labels import served_labels
from pipeline.model_files import load_spec
from pipeline.rules import holds
from pipeline.rules.unchanged import Conditions, DecidedRun, require_new_data
from pipeline.runs.code_version import code_version
from pipeline.runs.installed import installed
from pipeline.runs.records import SnapshotRecord, SpecRecord
from pipeline.spec import DataChecks, Overrides, RunSpec, parse, with_overrides
from pipeline.training.networks.modules import source_digest
from pipeline.verdicts.labels import LabelChanges, advice, arrange, changes, quoted
from pipeline.verdicts.verdict import Decision

log = logging.getLogger(__name__)


def snapshot(context: RunContext) -> SnapshotRecord:
    """Bring every image into the bucket, list them, and write `spec.json`.

    The labels of the version that serves keep their index. Those that are missing or new are named at once: `gate`
    declines them hours later where nobody has accepted them. A run that ends because nothing has changed leaves
    nothing, so that later ones need not look at it.

    Raises:
        DeclinedError: promotions are held, and no person has asked for this run; or no person has, and it would repeat
            the newest decided run, see `pipeline.rules.unchanged`. Not recorded, because it may change.
        BadInputError: the model file, the form or the images cannot be used, or an accepted label is neither missing
            nor new; no snapshot was recorded.
        CouldNotTellError: the labels of the version that serves cannot be read; no snapshot was recorded.
        FailedError: another copy of this task has frozen other settings meanwhile; no snapshot was recorded.
    """
    decline_if_held(context)
    spec = _asked_for(context)
    history = context.journal.read()
    serving = history.state.serving
    labels = served_labels(context, serving)
    # What runs now, which may be newer than what an earlier try of this task has frozen.
    now = Conditions(
        code_version(context.settings.code_version), spec.model, installed(), source_digest(spec.model.training)
    )
    newest = run_to_repeat(context, history, now)
    seconds = context.settings.storage_seconds
    with examined(spec.model, at=context.clock.now(), bucket=context.bucket, seconds=seconds) as data:
        _require_new(context, data, spec.model.data.checks, newest)
        _freeze(context, spec)
        present = frozenset(data.found.counts)
        found = changes(present, labels)
        _require_changed(spec.accept_labels, found)
        report = _judged(context, spec, data, serving)
        record = SnapshotRecord(
            digest=data.digest,
            labels=arrange(present, serving=labels, accepted=spec.accept_labels),
            manifest=data.store(context.bucket),
            found=data.found,
            report=report,
        )
    if serving is None:
        return record
    _warn(found, accepted=spec.accept_labels, serving=serving)
    return record.model_copy(update={"serving_version": serving, "missing": found.missing, "new": found.new})


def _require_new(context: RunContext, data: Examined, checks: DataChecks, newest: DecidedRun | None) -> None:
    """Check that this run would not repeat the newest decided one.

    Files that cannot be used have no effect on the digest. Too many of them are reported first, in red.

    Raises:
        DeclinedError: it would.
    """
    if data.has_too_many_unusable(checks):
        return
    try:
        by_event = context.settings.started_by_event
        require_new_data(data.digest, newest=newest, model=context.model, by_event=by_event)
    except DeclinedError:
        # Files that were only touched are known then, and the next run does not read them again.
        data.store(context.bucket)
        raise


def _asked_for(context: RunContext) -> RunSpec:
    """The settings that an earlier try of this task has frozen; without one, the model file and the form as they are.

    Raises:
        BadInputError: the model file or the form cannot be used.
    """
    frozen = context.records.find(SpecRecord)
    if frozen is not None:
        return frozen.spec
    settings = context.settings
    # The form of a DAG may carry fields for other steps and empty ones; what a person left out is not an override.
    form = {name: settings.params[name] for name in Overrides.model_fields if settings.params.get(name) is not None}
    overrides = parse(Overrides, form, source="the form of this run")
    model = with_overrides(load_spec(settings.models / f"{context.model}.yaml"), overrides)
    return RunSpec(
        model=model,
        run_key=context.run_key,
        requested_by=settings.actor,
        note=overrides.note,
        force=overrides.force,
        code_version=code_version(settings.code_version),
        accept_labels=overrides.accept_labels,
        installed=installed(),
        network_source=source_digest(model.training),
    )


def _judged(context: RunContext, run: RunSpec, data: Examined, serving: int | None) -> str:
    """Write the report about the data; its folder.

    Raises:
        BadInputError: a classifier cannot be trained with it, or more files are unusable than the model file allows.
        FailedError: another limit of the model file is passed, and nobody has overruled it.
    """
    checks = run.model.data.checks
    suspects = suspects_of(context, data, checks, serving)
    verdict = judge(data, checks, suspects)
    report = store_report(context, report_of(data, verdict, suspects))
    log.info("%s; the report is in %s", summary(data.found), context.bucket.uri(report))
    require_usable(data, checks, report=context.bucket.uri(report))
    if verdict.decision is Decision.PASS:
        return report
    if not run.force:
        raise FailedError(
            f"the images are refused: {verdict}. Correct them, or the limits in `data.checks` of the model file, then "
            f"trigger a new run; or trigger one with `force` and a note. The report is in {context.bucket.uri(report)}"
        )
    log.warning("%s overrules the checks of the data: %s", run.requested_by, verdict)
    return report


def _freeze(context: RunContext, spec: RunSpec) -> None:
    """Record the settings with which the images were read.

    Raises:
        FailedError: another copy of this task was first, with other settings.
    """
    frozen = context.records.finish(SpecRecord(spec=spec, code_version=spec.code_version)).spec
    # Dumped, because `new_images` is in no record.
    if frozen.model.model_dump() != spec.model.model_dump():
        raise FailedError(
            f"another copy of this task has read the images with other settings of {context.model}: its model file has "
            f"changed meanwhile. Clear this task: it then uses the settings that are recorded"
        )


def _require_changed(accepted: tuple[str, ...], found: LabelChanges) -> None:
    """A name that was mistyped would accept nothing, and the gate would say so after the training."""
    unchanged = [label for label in accepted if label not in (*found.missing, *found.new)]
    if unchanged:
        raise BadInputError(
            f"accept_labels: {quoted(unchanged)} is neither missing from the images nor new. Missing: "
            f"{quoted(found.missing) or 'none'}; new: {quoted(found.new) or 'none'}. Trigger a run with names from "
            f"these lists"
        )


def _warn(found: LabelChanges, *, accepted: tuple[str, ...], serving: int) -> None:
    refused = found.without(accepted)
    if refused:
        log.warning("%s; `gate` will decline this run; %s", refused.describe(serving), advice(found))
    elif found:
        log.warning("%s; accepted by the form of this run", found.describe(serving))


def decline_if_held(context: RunContext) -> None:
    """Spare a scheduled run the work that nobody would use; what a person has asked for goes as far as `publish`.

    Raises:
        DeclinedError: promotions are held; says by whom and how to lift that.
    """
    if context.settings.scheduled:
        holds.require_no_hold(context.journal.read(), now=context.clock.now(), model=context.model)
