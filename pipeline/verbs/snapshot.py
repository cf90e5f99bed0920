"""Freeze what a run depends on: the model with this run's overrides, and the data as it is now."""

from pipeline.context import Context
from pipeline.learning.images import import_images
from pipeline.model_files import load_spec
from pipeline.records import SnapshotRecord, SpecRecord
from pipeline.release import holds
from pipeline.spec import Overrides, RunSpec, parse, with_overrides


def snapshot(context: Context) -> SnapshotRecord:
    """Write `spec.json`, bring every image into the bucket, and list them.

    Raises:
        DeclinedError: promotions are held, and no person has asked for this run. Not recorded, because it may change.
        BadInputError: the model file, the form or the images cannot be used; nothing was recorded.
    """
    settings = context.settings
    decline_if_held(context)
    # The form of a DAG may carry fields for other steps and empty ones; what a person left out is not an override.
    form = {name: settings.params[name] for name in Overrides.model_fields if settings.params.get(name) is not None}
    overrides = parse(Overrides, form, source="the form of this run")
    spec = with_overrides(load_spec(settings.models / f"{context.model}.yaml"), overrides)
    frozen = RunSpec(
        model=spec,
        run_key=context.run_key,
        requested_by=settings.actor,
        note=overrides.note,
        force=overrides.force,
        code_version=settings.code_version,
    )
    return import_images(context.bucket, context.records.finish(SpecRecord(spec=frozen)).spec.model)


def decline_if_held(context: Context) -> None:
    """Spare a scheduled run the work that nobody would use; what a person has asked for goes as far as `publish`.

    Raises:
        DeclinedError: promotions are held; says by whom and how to lift that.
    """
    if context.settings.scheduled:
        holds.require_none(context.journal.read(), now=context.clock.now(), model=context.model)
