"""Loading, and then asking the model the requests it brings along."""

import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

from serving.inference.model import LoadedModel
from serving.inference.tfrecord import read_records
from serving.inference.warmup import FILE, FOLDER, warm_up
from serving.model_server.lifecycle.servable import Load, Servable, ServableId
from serving.model_server.metrics import server_metrics
from serving.model_server.metrics.metered_model import MeteredModel
from serving.model_server.storage import file_system
from serving.status import DataLossError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class WarmupLoader:
    """Loads with another loader. A request that fails makes the load fail, so that the old version goes on serving."""

    load: Load
    times: int = 1
    check_method_names: bool = False

    def __call__(self, servable_id: ServableId, uri: str) -> Servable:
        model = cast(LoadedModel, self.load(servable_id, uri))
        try:
            count = self._warm_up(model, uri.rstrip("/"))
        except BaseException:
            model.close()
            raise
        if count:
            logger.info("model %s version %d: %d warm-up requests answered", *servable_id, count)
        return model

    def _warm_up(self, model: LoadedModel, directory: str) -> int:
        path = f"{directory}/{FOLDER}/{FILE}"
        if not file_system.exists(path):
            return 0
        with file_system.local_copy(f"{directory}/{FOLDER}") as local:
            return warm_up(
                model,
                counted(read_records(local / FILE), directory),
                path=path,
                times=self.times,
                check_method_name=self.check_method_names,
                wrap=MeteredModel,
            )


def counted(records: Iterable[bytes], directory: str) -> Iterator[bytes]:
    """The same records; at the end of their file, good or damaged, the metrics get their number.

    They get no number where a request ends the warm-up. `directory` is that of the version.
    """
    begin = time.perf_counter()
    count = 0
    try:
        for record in records:
            yield record
            count += 1
    except DataLossError as error:
        server_metrics.warmed_up(directory, count, time.perf_counter() - begin, error)
        raise
    server_metrics.warmed_up(directory, count, time.perf_counter() - begin)
