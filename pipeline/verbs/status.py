"""Who serves what, and where the journal, the config, the files, the replicas and MLflow do not agree."""

from pipeline.context import ModelContext
from pipeline.inspection.differences import differences, under_way
from pipeline.inspection.findings import look
from pipeline.inspection.status import Status


def status(context: ModelContext) -> Status:
    """Look at everything; changes nothing, and answers whoever does not.

    Raises:
        BadInputError: there is no such model.
    """
    found = look(context)
    return Status(found, differences(found), under_way(found))
