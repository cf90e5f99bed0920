"""The requests a model brings along, replayed while it loads: one that fails keeps the model from serving."""

import logging
from collections.abc import Iterable
from pathlib import Path

from google.protobuf.message import DecodeError

from serving.apis import prediction_log_pb2
from serving.model_server.model import Model
from serving.model_server.predict import predict
from serving.model_server.status import DataLossError, InvalidArgumentError, UnimplementedError

REQUESTS = Path("assets.extra") / "tf_serving_warmup_requests"
MAX_RECORDS = 1000

logger = logging.getLogger(__name__)


def warm_up(model: Model, records: Iterable[bytes], *, path: Path) -> int:
    """Run every record once and return how many there were; the first error ends it and is raised."""
    count = 0
    try:
        for count, record in enumerate(records, 1):
            _replay(model, record, path)
            if count > MAX_RECORDS:
                raise InvalidArgumentError(f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {path}")
    except DataLossError as error:
        raise DataLossError(f"{error.message}. Please verify your warmup data is in TFRecord format.") from error
    return count


def _replay(model: Model, record: bytes, path: Path) -> None:
    log = prediction_log_pb2.PredictionLog()
    try:
        log.ParseFromString(record)
    except DecodeError as error:
        raise InvalidArgumentError(f"Failed to parse warmup record: {record!r} from {path}") from error
    kind = log.WhichOneof("log_type")
    if kind is None:
        return
    if kind != "predict_log":
        number = log.DESCRIPTOR.fields_by_name[kind].number
        raise UnimplementedError(f"Unsupported log_type for warmup: {number}")
    predict(model, log.predict_log.request)
