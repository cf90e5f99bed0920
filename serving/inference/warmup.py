"""The requests a model brings along, replayed while it loads: one that fails keeps the model from serving."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from google.protobuf.message import DecodeError

from serving.apis import prediction_log_pb2
from serving.inference.classify import classify
from serving.inference.model import Model
from serving.inference.multi_inference import multi_inference
from serving.inference.predict import predict
from serving.inference.regress import regress
from serving.status import DataLossError, InvalidArgumentError, UnimplementedError

# Below the directory of a version.
FOLDER = "assets.extra"
FILE = "tf_serving_warmup_requests"
MAX_RECORDS = 1000

# Puts something around a model for one request and the name of its method; a server counts its runs so.
Wrap = Callable[[Model, Any, str], Model]


def unwrapped(model: Model, request: Any, api: str) -> Model:  # noqa: ARG001 - see Wrap
    """The model itself."""
    return model


def warm_up(
    model: Model,
    records: Iterable[bytes],
    *,
    path: str,
    times: int = 1,
    check_method_name: bool = False,
    wrap: Wrap = unwrapped,
) -> int:
    """Run every record so many times and return how many there were; the first error ends it and is raised.

    Upstream's rules: tensorflow_serving/servables/tensorflow/saved_model_warmup_util.cc.

    Args:
        model: loaded, and not answering anybody yet.
        records: serialized PredictionLogs.
        path: the file they come from, for messages.
        times: how often each is run.
        check_method_name: whether a signature must have been exported for the method it is asked with.
        wrap: what is put around the model for each request.

    Raises:
        StatusError: what a request raised; INVALID_ARGUMENT for a record that is not a PredictionLog, and for more than
            1000 of them; UNIMPLEMENTED for a kind of request that is not replayed; DATA_LOSS for a damaged file.
    """
    count = 0
    for count, record in enumerate(_undamaged(records), 1):
        for _ in range(times):
            _replay(model, record, path, check_method_name=check_method_name, wrap=wrap)
        if count > MAX_RECORDS:
            raise InvalidArgumentError(f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {path}")
    return count


def _undamaged(records: Iterable[bytes]) -> Iterator[bytes]:
    """The same records; where their file is damaged, the error says what to check."""
    try:
        yield from records
    except DataLossError as error:
        raise DataLossError(f"{error.message}. Please verify your warmup data is in TFRecord format.") from error


def _replay(model: Model, record: bytes, path: str, *, check_method_name: bool, wrap: Wrap) -> None:
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
            request = log.predict_log.request
            predict(wrap(model, request, "Predict"), request, check_method_name=check_method_name)
        case "classify_log":
            request = log.classify_log.request
            classify(wrap(model, request, "Classify"), request, check_method_name=check_method_name)
        case "regress_log":
            request = log.regress_log.request
            regress(wrap(model, request, "Regress"), request, check_method_name=check_method_name)
        case "multi_inference_log":
            request = log.multi_inference_log.request
            multi_inference(wrap(model, request, "MultiInference"), request, check_method_name=check_method_name)
        case _:
            number = log.DESCRIPTOR.fields_by_name[kind].number
            raise UnimplementedError(f"Unsupported log_type for warmup: {number}")
