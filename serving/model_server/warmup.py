"""The requests a model brings along, replayed while it loads: one that fails keeps the model from serving."""

import logging
import time
from collections.abc import Iterable, Iterator

from google.protobuf.message import DecodeError

from serving.apis import prediction_log_pb2
from serving.model_server import metrics
from serving.model_server.classify import classify
from serving.model_server.model import Model
from serving.model_server.multi_inference import multi_inference
from serving.model_server.predict import predict
from serving.model_server.regress import regress
from serving.status import DataLossError, InvalidArgumentError, UnimplementedError

# Below the directory of a version.
FOLDER = "assets.extra"
FILE = "tf_serving_warmup_requests"
MAX_RECORDS = 1000

logger = logging.getLogger(__name__)


def warm_up(
    model: Model, records: Iterable[bytes], *, path: str, times: int = 1, check_method_name: bool = False
) -> int:
    """Run every record so many times and return how many there were; the first error ends it and is raised.

    `path` is the file they come from, as its owner knows it.
    """
    count = 0
    for count, record in enumerate(_reported(records, path), 1):
        for _ in range(times):
            _replay(model, record, path, check_method_name=check_method_name)
        if count > MAX_RECORDS:
            raise InvalidArgumentError(f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {path}")
    return count


def _reported(records: Iterable[bytes], path: str) -> Iterator[bytes]:
    """The same records. At their end, good or bad, the metrics hear of it; not where a request ends the warm-up."""
    directory = path.removesuffix(f"/{FOLDER}/{FILE}")
    begin = time.perf_counter()
    count = 0
    try:
        for record in records:
            yield record
            count += 1
    except DataLossError as error:
        metrics.warmed_up(directory, count, time.perf_counter() - begin, error)
        raise DataLossError(f"{error.message}. Please verify your warmup data is in TFRecord format.") from error
    metrics.warmed_up(directory, count, time.perf_counter() - begin)


def _replay(model: Model, record: bytes, path: str, *, check_method_name: bool) -> None:
    log = prediction_log_pb2.PredictionLog()
    try:
        log.ParseFromString(record)
    except DecodeError as error:
        shown = record.decode("utf-8", "replace")
        raise InvalidArgumentError(f"Failed to parse warmup record: {shown} from {path}") from error
    kind = log.WhichOneof("log_type")
    match kind:
        case None:
            pass
        case "predict_log":
            predict(model, log.predict_log.request, check_method_name=check_method_name)
        case "classify_log":
            classify(model, log.classify_log.request, check_method_name=check_method_name)
        case "regress_log":
            regress(model, log.regress_log.request, check_method_name=check_method_name)
        case "multi_inference_log":
            multi_inference(model, log.multi_inference_log.request, check_method_name=check_method_name)
        case _:
            number = log.DESCRIPTOR.fields_by_name[kind].number
            raise UnimplementedError(f"Unsupported log_type for warmup: {number}")
