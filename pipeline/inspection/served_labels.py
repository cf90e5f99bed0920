"""The labels of the serving version, which every candidate is compared with."""

from pipeline.context import ModelContext
from pipeline.errors import CouldNotTellError, StorageError


def served_labels(context: ModelContext, version: int | None) -> tuple[str, ...]:
    """The labels of the serving version, in the order of their indices; empty if nothing serves.

    Raises:
        CouldNotTellError: a version serves, and its labels cannot be read or are not what was approved.
    """
    if version is None:
        return ()
    try:
        return context.manifests.labels(version, context.journal.read())
    except StorageError as error:
        raise CouldNotTellError(
            f"v{version} serves and its labels cannot be read, so nobody can tell which labels must keep their index: "
            f"{error}. v{version} still serves. Clear this task when the files are restored, or roll back to a version "
            f"whose files exist"
        ) from error
