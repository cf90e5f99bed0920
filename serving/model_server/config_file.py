"""--model_config_file: a text ModelServerConfig, read at start and then looked at again and again."""

import logging
from typing import Any

from serving.apis import model_server_config_pb2
from serving.model_server.lifecycle.server_core import ServerCore
from serving.model_server.storage import text_proto
from serving.status import StatusError

logger = logging.getLogger(__name__)


def read_config(uri: str) -> Any:
    """A ModelServerConfig; raises NOT_FOUND for a missing file, INVALID_ARGUMENT for one that does not parse."""
    return text_proto.read(uri, model_server_config_pb2.ModelServerConfig())


class ConfigFile:
    """Re-applies the file at every look, changed or not: what a request set in between does not last.

    A file that cannot be read, or whose config is refused, leaves the config in force; that is said once, and again
    when the reason changes.
    """

    def __init__(self, uri: str, core: ServerCore) -> None:
        self._uri = uri
        self._core = core
        self._problem = ""

    def apply(self) -> None:
        problem = ""
        try:
            self._core.reload(read_config(self._uri))
        except StatusError as error:
            problem = f"{self._uri} is not in force: {error}"
        if problem and problem != self._problem:
            logger.error("%s", problem)
        if self._problem and not problem:
            logger.info("%s is in force again", self._uri)
        self._problem = problem
