"""What the server counts of itself. Counts belong to the process, so each test has names of its own."""

import threading
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import StatusCode
from prometheus_client.parser import text_string_to_metric_families

from serving.apis import model_management_pb2, model_service_pb2_grpc
from serving.model_server.lifecycle.servable import ServableId
from serving.model_server.metrics import server_metrics
from serving.model_server.metrics.prometheus import Counter, Histogram, exponential, page
from serving.status import DataLossError, NotFoundError
from tests.ports import free_port
from tests.serving.model_server.running import answers, predicted, running
from tests.serving.model_server.world import Shelf, config


def samples(name: str, text: str, **labels: str) -> dict[str, float]:
    """Suffix of the sample's name (with its bucket) -> value, for the samples of one metric with these labels."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            rest = {key: value for key, value in sample.labels.items() if key != "le"}
            if sample.name.startswith(name) and rest == labels:
                # The parser gives every counter the suffix that the newer format asks for.
                suffix = sample.name.removeprefix(name).removesuffix("_total")
                found[suffix + sample.labels.get("le", "")] = sample.value
    return found


def test_the_page_is_written_as_upstream_s_exporter_writes_it() -> None:
    """Names with colons, all in order, empty braces, bounds and sums in six digits, cumulative buckets."""
    runs = Counter("/a/runs")
    runs.add(by=3)
    sizes = Histogram("/a/sizes", "model", bounds=[1, 1.5e6])
    for sample in (0.5, 1, 2_000_001):
        sizes.add(sample, "m")
    requests = Counter("/a/requests", "model", "status")
    requests.add("n", "OK")
    requests.add("m", "OK")

    expected = """\
# TYPE :a:empty counter
# TYPE :a:requests counter
:a:requests{model="m",status="OK"} 1
:a:requests{model="n",status="OK"} 1
# TYPE :a:runs counter
:a:runs{} 3
# TYPE :a:sizes histogram
:a:sizes_bucket{model="m",le="1"} 1
:a:sizes_bucket{model="m",le="1.5e+06"} 2
:a:sizes_bucket{model="m",le="+Inf"} 3
:a:sizes_sum{model="m"} 2e+06
:a:sizes_count{model="m"} 3
"""
    assert expected == page([sizes, runs, Counter("/a/empty", "x"), requests])


def test_a_name_from_outside_cannot_break_the_page() -> None:
    name = 'a"b\\c\nd{e="f"} 1'
    requests = Counter("/a/requests", "model")
    requests.add(name)

    assert samples(":a:requests", page([requests]), model=name) == {"": 1}


def test_bounds_grow_by_a_factor() -> None:
    assert exponential(10, 1.8, 3) == pytest.approx([10, 18, 32.4])


def test_no_addition_is_lost_between_threads() -> None:
    runs = Counter("/a/runs", "model")
    sizes = Histogram("/a/sizes", "model", bounds=[1])

    def work() -> None:
        for _ in range(2000):
            runs.add("m")
            sizes.add(1, "m")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (runs.value("m"), sizes.count("m")) == (16_000, 16_000)


def test_the_server_s_own_page_has_upstream_s_names_labels_and_units() -> None:
    server_metrics.count_request("page", StatusCode.NOT_FOUND)
    server_metrics.time_request("page", "Predict", "GRPC", 0.0005)
    server_metrics.time_runtime("page", "Predict", 0.0002)
    server_metrics.warmed_up("/page/1", records=7, seconds=0.1)
    server_metrics.warmed_up("/page/1", records=1, seconds=0.1, error=DataLossError("corrupted record at 0"))
    server_metrics.queued(0.0001, "page")
    text = server_metrics.render()

    def total(name: str, **labels: Any) -> dict[str, float]:
        return {key: value for key, value in samples(name, text, **labels).items() if "bucket" not in key}

    assert total(":tensorflow:serving:request_count", model_name="page", status="NOT_FOUND") == {"": 1}
    assert total(":tensorflow:serving:request_latency", model_name="page", API="Predict", entrypoint="GRPC") == {
        "_sum": 500,
        "_count": 1,
    }
    assert total(":tensorflow:serving:runtime_latency", model_name="page", API="Predict", runtime="TF1") == {
        "_sum": 200,
        "_count": 1,
    }
    assert total(":tensorflow:serving:model_warmup_records_read", model_path="/page/1", status="OK") == {"": 7}
    assert total(
        ":tensorflow:serving:model_warmup_latency", model_path="/page/1", status="DATA_LOSS: corrupted record at 0"
    ) == {"_sum": 100_000, "_count": 1}
    assert total(":tensorflow:serving:batching_session:queuing_latency", thread_pool_name="page") == {
        "_sum": 100,
        "_count": 1,
    }


def test_tries_to_load_are_counted_by_how_they_end_and_the_time_of_all_is_added_up() -> None:
    name = ":tensorflow:cc:saved_model:load_"
    with pytest.raises(NotFoundError), server_metrics.load_attempt("/load/1"):
        raise NotFoundError("no model")
    failed = samples(f"{name}latency", server_metrics.render(), model_path="/load/1")[""]
    with server_metrics.load_attempt("/load/1"):
        pass
    text = server_metrics.render()

    assert samples(f"{name}attempt_count", text, model_path="/load/1", status="fail") == {"": 1}
    assert samples(f"{name}attempt_count", text, model_path="/load/1", status="success") == {"": 1}
    assert samples(f"{name}latency", text, model_path="/load/1")[""] >= failed


def test_requests_are_counted_whatever_comes_of_them_and_timed_when_answered(tmp_path: Path) -> None:
    """By the caller's name for the model; questions about models are not counted at all."""
    before = server_metrics.request_count.value("default", "OK")
    timed = server_metrics.request_latency.count("default", "Predict", "GRPC")
    ran = server_metrics.runtime_latency.count("default", "Predict", "TF1")
    port = free_port()
    with running(tmp_path / "m", f"--port={port}"), grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        predicted(channel)
        predicted(channel)
        assert answers(channel)
        with pytest.raises(grpc.RpcError):
            predicted(channel, name="nobody")

    assert server_metrics.request_count.value("default", "OK") - before == 2
    assert server_metrics.request_latency.count("default", "Predict", "GRPC") - timed == 2
    assert server_metrics.runtime_latency.count("default", "Predict", "TF1") - ran == 2
    assert server_metrics.request_count.value("nobody", "NOT_FOUND") == 1
    assert server_metrics.request_latency.count("nobody", "Predict", "GRPC") == 0


def test_a_reload_tells_how_much_metrics_grew_meanwhile(tmp_path: Path) -> None:
    """Each name once, 0 for one that is not known or did not grow."""
    port = free_port()
    shelf = Shelf()
    counted = "/tensorflow/serving/request_example_count_total"

    def load(servable_id: ServableId, path: str) -> Any:
        server_metrics.example_count_total.add("", by=7)
        return shelf(servable_id, path)

    new = config(tmp_path / "new", name="new")
    request = model_management_pb2.ReloadConfigRequest(config=new, metric_names=[counted, "/none", counted])
    with (
        running(tmp_path / "new", f"--port={port}", load=load),
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        models = model_service_pb2_grpc.ModelServiceStub(channel)
        answer = models.HandleReloadConfigRequest(request, timeout=10)

    assert {each.name: each.int64_value_increase for each in answer.metric} == {counted: 7, "/none": 0}
    assert len(answer.metric) == 2


def test_latency_buckets_are_upstream_s() -> None:
    server_metrics.time_request("buckets", "Predict", "GRPC", 0.00001)
    found = samples(
        ":tensorflow:serving:request_latency",
        server_metrics.render(),
        model_name="buckets",
        API="Predict",
        entrypoint="GRPC",
    )

    buckets = {key.removeprefix("_bucket"): value for key, value in found.items() if "bucket" in key}
    assert len(buckets) == 34
    assert [buckets["10"], buckets["18"], buckets["1.47476e+09"], buckets["+Inf"]] == [0, 1, 1, 1]


def test_a_value_by_name_is_the_first_cell_s() -> None:
    """Which is what a reload request's `metric_names` are answered from: the first cell by labels, 0 for the rest."""
    before = server_metrics.value("/tensorflow/serving/request_example_count_total")
    server_metrics.example_count_total.add("", by=3)
    server_metrics.example_count_total.add("b", by=5)

    assert server_metrics.value("/tensorflow/serving/request_example_count_total") - before == 3
    assert server_metrics.value("/tensorflow/serving/request_latency") == 0
    assert server_metrics.value("/no/such/metric") == 0
