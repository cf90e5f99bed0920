"""The labels of the serving version, which every candidate is compared with."""

from pipeline.context import ModelContext
from pipeline.errors import CouldNotTellError, NewerVersionError, StorageError


def served_labels(context: ModelContext, version: int | None) -> tuple[str, ...]:
    """The labels of the serving version, in the order of their indices; empty if nothing serves.

    Raises:
        CouldNotTellError: a version serves, and its labels cannot be read or are not what was approved.
        NewerVersionError: a newer version of Understudy wrote its manifest.
    """
    if version is None:
        return ()
    try:
        return context.manifests.labels(version, context.journal.read())
    except NewerVersionError:
        raise
    except StorageError as error:
        raise CouldNotTellError(
            f"the labels of v{version} cannot be read: {error}. Without them it is not known which labels must keep "
            f"their index. v{version} still serves. Restore the files, then repeat this step (in Airflow: clear the "
            f"task); or run `understudy rollback --model {context.model} --to previous --reason damaged`"
        ) from error
