"""Loads models with another loader and lets their requests be run together."""

from typing import cast

from grpc import StatusCode

from serving.inference.model import LoadedModel
from serving.model_server.batching.model import BatchingModel
from serving.model_server.batching.parameters import BatchingParameters, read_parameters
from serving.model_server.batching.scheduler import Scheduler
from serving.model_server.lifecycle.servable import Load, Servable, ServableId
from serving.model_server.storage import file_system
from serving.status import StatusError

PER_MODEL_FILE = "batching_params.pbtxt"


class BatchingLoader:
    """One set of threads for all models; until it is started, and without parameters, models are as they come."""

    def __init__(self, load: Load, *, per_model: bool = False) -> None:
        """With `per_model`, a model batches by the file in its own directory, or not at all where there is none."""
        self._load = load
        self._per_model = per_model
        self._parameters: BatchingParameters | None = None
        self._scheduler: Scheduler | None = None

    def start(self, parameters: BatchingParameters | None) -> None:
        """Start the threads these parameters ask for; raises INVALID_ARGUMENT when that is no thread."""
        if parameters is not None:
            self._scheduler = Scheduler(threads=parameters.num_batch_threads, name=parameters.thread_pool_name)
            self._parameters = parameters

    def stop(self) -> None:
        """Let the threads go; to be called after the last request."""
        if self._scheduler is not None:
            self._scheduler.stop()

    def __call__(self, servable_id: ServableId, uri: str) -> Servable:
        """Raise what the loader raises, and INVALID_ARGUMENT for parameters that do not go together."""
        model = cast(LoadedModel, self._load(servable_id, uri))
        try:
            return self._batched(model, uri)
        except BaseException:
            model.close()
            raise

    def _batched(self, model: LoadedModel, uri: str) -> LoadedModel:
        """The same model, its requests run together if its directory, or the server, asks for that."""
        parameters = self._parameters_of(uri)
        if parameters is None or self._scheduler is None:
            return model
        return BatchingModel(model, parameters, self._scheduler)

    def _parameters_of(self, uri: str) -> BatchingParameters | None:
        if self._parameters is None or not self._per_model:
            return self._parameters
        file = f"{uri.rstrip('/')}/{PER_MODEL_FILE}"
        try:
            file_system.check_exists(file)
        except StatusError as error:
            # Whatever else keeps it from being seen may pass, and a model must not miss its batching because of that.
            if error.code is StatusCode.NOT_FOUND:
                return None
            raise
        return read_parameters(file)
