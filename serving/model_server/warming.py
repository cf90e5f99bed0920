"""Loading, and then asking the model the requests it brings along."""

import logging
from dataclasses import dataclass
from typing import cast

from serving.model_server import storage
from serving.model_server.harness import Load, Servable
from serving.model_server.model import LoadedModel
from serving.model_server.monitor import ServableId
from serving.model_server.tfrecord import read_records
from serving.model_server.warmup import FILE, FOLDER, warm_up

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class WarmingLoader:
    """Loads with another loader. A request that fails makes the load fail, so that the old version goes on serving."""

    load: Load
    times: int = 1
    check_method_names: bool = False

    def __call__(self, servable_id: ServableId, uri: str) -> Servable:
        model = cast(LoadedModel, self.load(servable_id, uri))
        try:
            count = self._warm_up(model, f"{uri.rstrip('/')}/{FOLDER}")
        except BaseException:
            model.close()
            raise
        if count:
            logger.info("model %s version %d: %d warm-up requests answered", *servable_id, count)
        return model

    def _warm_up(self, model: LoadedModel, folder: str) -> int:
        if not storage.exists(f"{folder}/{FILE}"):
            return 0
        with storage.local_copy(folder) as local:
            return warm_up(
                model,
                read_records(local / FILE),
                path=f"{folder}/{FILE}",
                times=self.times,
                check_method_name=self.check_method_names,
            )
