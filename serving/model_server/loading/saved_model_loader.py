"""Loads the SavedModel of one version, from wherever its files are."""

from dataclasses import dataclass, field
from typing import Any

from serving.apis import config_pb2
from serving.model_server.lifecycle.servable import ServableId
from serving.model_server.metrics import server_metrics
from serving.model_server.storage import file_system
from serving.tensorflow.saved_model import SavedModel, open_session


@dataclass(frozen=True, kw_only=True)
class SavedModelLoader:
    """Called for one version; raises StatusError with the text of TensorFlow's loader."""

    tags: frozenset[str]
    session_config: Any = field(default_factory=config_pb2.ConfigProto)

    def __call__(self, servable_id: ServableId, uri: str) -> SavedModel:  # noqa: ARG002 - as every loader is called
        with file_system.local_copy(uri) as path, server_metrics.load_attempt(uri):
            session = open_session(path, tags=self.tags, session_config=self.session_config)
        return SavedModel(session)
