"""What each replica serves, and where journal, config, files, replicas and MLflow differ."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from pipeline.context import ModelContext
from pipeline.errors import StorageError
from pipeline.inspection.differences import differences
from pipeline.inspection.findings import look
from pipeline.inspection.status import Status, current_holds, serving_period
from pipeline.inspection.under_way import notes, under_way

T = TypeVar("T")


def status(context: ModelContext) -> Status:
    """Look at everything; change nothing. What does not answer, or is lost, is reported as a difference.

    Raises:
        BadInputError: there is no such model.
    """
    found = look(context)
    differing = differences(found)
    unread: list[str] = []

    def known(part: Callable[[], T], *, otherwise: T) -> T:
        try:
            return part()
        except StorageError as error:
            unread.append(str(error))
            return otherwise

    seen = Status(
        found,
        differing,
        under_way=known(lambda: under_way(found), otherwise=[]),
        notes=known(lambda: notes(found), otherwise=[]),
        serving=known(lambda: serving_period(found), otherwise=None),
        proving=known(lambda: found.proving, otherwise=None),
        holds=known(lambda: current_holds(found), otherwise=[]),
    )
    return replace(seen, differences=[*dict.fromkeys([*differing, *unread])])
