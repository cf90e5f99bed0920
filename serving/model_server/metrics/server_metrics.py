"""What this server counts of itself: upstream's metrics that mean something here, by upstream's names.

Module-level, because they belong to the process as upstream's do. Latencies are kept in whole microseconds and
handed in as seconds. Names of models come from the caller, known or not: each makes a cell, as upstream's do.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from grpc import StatusCode

from serving.model_server.metrics.prometheus import Counter, Histogram, Metric, exponential, page
from serving.status import StatusError

# 10 us to 25 minutes; the queue of a batch has finer steps, 100 us to one second.
LATENCIES = exponential(10, 1.8, 33)
QUEUING = exponential(100, 1.2, 52)

request_count = Counter("/tensorflow/serving/request_count", "model_name", "status")
request_latency = Histogram("/tensorflow/serving/request_latency", "model_name", "API", "entrypoint", bounds=LATENCIES)
runtime_latency = Histogram("/tensorflow/serving/runtime_latency", "model_name", "API", "runtime", bounds=LATENCIES)
example_counts = Histogram("/tensorflow/serving/request_example_counts", "model", bounds=exponential(1, 2, 15))
example_count_total = Counter("/tensorflow/serving/request_example_count_total", "model")

load_attempt_count = Counter("/tensorflow/cc/saved_model/load_attempt_count", "model_path", "status")
load_latency = Counter("/tensorflow/cc/saved_model/load_latency", "model_path")
warmup_latency = Histogram("/tensorflow/serving/model_warmup_latency", "model_path", "status", bounds=LATENCIES)
warmup_records_read = Counter("/tensorflow/serving/model_warmup_records_read", "model_path", "status")

queuing_latency = Histogram("/tensorflow/serving/batching_session/queuing_latency", "thread_pool_name", bounds=QUEUING)
wrapped_run_count = Counter("/tensorflow/serving/batching_session/wrapped_run_count")
input_batch_size = Histogram("/tensorflow/serving/batching_session/input_batch_size", bounds=exponential(1, 2, 14))
processed_batch_size = Histogram(
    "/tensorflow/serving/batching_session/processed_batch_size", bounds=exponential(1, 2, 14)
)
padding_size = Histogram(
    "/tensorflow/serving/batching_session/padding_size", "execution_batch_size", bounds=exponential(1, 2, 14)
)

_BY_NAME: dict[str, Metric] = {
    each.name: each for each in list(globals().values()) if isinstance(each, Counter | Histogram)
}


def render() -> str:
    """The page of `/monitoring/prometheus/metrics`."""
    return page(_BY_NAME.values())


def value(name: str) -> int:
    """What a metric of this name stands at for HandleReloadConfigRequest: its first cell, 0 where it counts nothing."""
    metric = _BY_NAME.get(name)
    return metric.first() if metric is not None else 0


def count_request(model: str, code: StatusCode = StatusCode.OK) -> None:
    request_count.add(model, code.name)


def time_request(model: str, api: str, entrypoint: Literal["GRPC", "REST"], seconds: float) -> None:
    """For requests that were answered well only. `api` is "Predict" over gRPC and "predict" over REST."""
    request_latency.add(_micros(seconds), model, api, entrypoint)


def time_runtime(model: str, api: str, seconds: float) -> None:
    """The time in TensorFlow alone, of runs that succeeded. `api` is "Predict", "Classify" or "Regress"."""
    runtime_latency.add(_micros(seconds), model, api, "TF1")


def count_examples(model: str, examples: int) -> None:
    """Of a MultiInference request, the only kind whose examples upstream counts."""
    example_counts.add(examples, model)
    example_count_total.add(model, by=examples)


@contextmanager
def load_attempt(path: str) -> Iterator[None]:
    """One try to load, without its warm-up: a try that raises has failed. The time of both kinds is added up."""
    status = "fail"
    start = time.perf_counter()
    try:
        yield
        status = "success"
    finally:
        load_attempt_count.add(path, status)
        load_latency.add(path, by=_micros(time.perf_counter() - start))


def warmed_up(path: str, records: int, seconds: float, error: StatusError | None = None) -> None:
    """One warm-up from a file; `error` is about reading that file. Where a request fails, upstream counts nothing."""
    status = str(error) if error else "OK"
    warmup_latency.add(_micros(seconds), path, status)
    warmup_records_read.add(path, status, by=records)


def queued(seconds: float, pool: str) -> None:
    """One request's wait until its batch was taken; `pool` is the label, which upstream's server leaves empty."""
    queuing_latency.add(_micros(seconds), pool)


def asked_for_batch(tensor_sizes: list[int]) -> None:
    """The first dimension of each tensor of one request."""
    for size in tensor_sizes:
        input_batch_size.add(size)


def ran_batch(size: int, padding: int) -> None:
    """One batch handed to the model: its size with the padding, and how much of it is padding."""
    padding_size.add(padding, str(size))
    processed_batch_size.add(size)
    wrapped_run_count.add()


def _micros(seconds: float) -> int:
    return max(int(seconds * 1_000_000), 0)
