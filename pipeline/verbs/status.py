"""What each replica serves, and where journal, config, files, replicas and MLflow differ."""

from pipeline.context import ModelContext
from pipeline.inspection.differences import differences
from pipeline.inspection.findings import look
from pipeline.inspection.status import Status
from pipeline.inspection.under_way import notes, under_way


def status(context: ModelContext) -> Status:
    """Look at everything; change nothing. What does not answer is reported as a difference.

    Raises:
        BadInputError: there is no such model.
    """
    found = look(context)
    return Status(found, differences(found), under_way(found), notes(found))
