"""The metrics, as Prometheus reads them."""

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.gateway.observation.facts import Facts
from serving.gateway.observation.metrics import LARGEST_VERSIONS, SECONDS, SHED_REASONS, Metrics

ROUTE = "/v1/classify/{model}"
LABELS = ("model", "route", "version", "code", "reason", "le")


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(["digits", "pets"])


def end(
    metrics: Metrics, *, route: str | None = ROUTE, status: int = 200, seconds: float = 0.005, **facts: Any
) -> None:
    metrics.begin()
    metrics.end(Facts(request_id="", **facts), route=route, status=status, seconds=seconds)


def read(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """The samples with this name, by the values of their labels in the order of LABELS."""
    samples: dict[tuple[str, ...], float] = {}
    for family in text_string_to_metric_families(metrics.page().decode()):
        for sample in family.samples:
            if sample.name == f"understudy_gateway_{name}":
                samples[tuple(sample.labels[label] for label in LABELS if label in sample.labels)] = sample.value
    return samples


def test_requests_are_counted_by_model_route_version_and_code(metrics: Metrics) -> None:
    end(metrics, model="digits", version=3)
    end(metrics, model="digits", version=3)
    end(metrics, model="digits", version=4, status=504)
    end(metrics, route=None, status=404)

    assert read(metrics, "requests_total") == {
        ("digits", ROUTE, "3", "200"): 2,
        ("digits", ROUTE, "4", "504"): 1,
        ("", "none", "", "404"): 1,
    }


def test_latencies_from_a_millisecond_to_ten_seconds_have_buckets(metrics: Metrics) -> None:
    end(metrics, model="digits", seconds=0.0011)
    buckets = read(metrics, "request_seconds_bucket")

    assert (0.001, 10) == (SECONDS[0], SECONDS[-1])
    assert buckets["digits", ROUTE, "0.001"] == 0
    assert buckets["digits", ROUTE, "0.002"] == buckets["digits", ROUTE, "+Inf"] == 1


def test_what_has_begun_and_not_ended_is_in_flight(metrics: Metrics) -> None:
    metrics.begin()
    end(metrics)

    assert read(metrics, "requests_in_flight") == {(): 1}


def test_shed_requests_have_their_reason(metrics: Metrics) -> None:
    end(metrics, model="digits", shed="admission", status=503)
    end(metrics, model="digits", shed="a new reason", status=503)

    expected = {(reason,): 0.0 for reason in SHED_REASONS} | {("admission",): 1.0, ("other",): 1.0}
    assert expected == read(metrics, "shed_total")


def test_images_are_added_up(metrics: Metrics) -> None:
    for _ in range(2):
        end(metrics, model="pets", images=3, image_bytes=1000)

    assert read(metrics, "images_total") == {("pets",): 6}
    assert read(metrics, "image_bytes_total") == {("pets",): 2000}


def test_unknown_models_make_no_series_of_their_own(metrics: Metrics) -> None:
    for number in range(100):
        end(metrics, model=f"guess{number}", version=number, status=404)

    assert read(metrics, "requests_total") == {("other", ROUTE, "", "404"): 100}
    assert len(read(metrics, "request_seconds_count")) == 1


def test_versions_that_answered_long_ago_are_forgotten(metrics: Metrics) -> None:
    for version in range(LARGEST_VERSIONS + 10):
        end(metrics, model="digits", version=version)
        end(metrics, model="digits", version=version, status=504)
        end(metrics, model="pets", version=1)
    versions = {labels[0::2][:2] for labels in read(metrics, "requests_total")}

    assert len(versions) == LARGEST_VERSIONS
    assert ("pets", "1") in versions
    assert ("digits", str(LARGEST_VERSIONS + 9)) in versions


def test_the_process_is_there_too(metrics: Metrics) -> None:
    assert b"process_resident_memory_bytes" in metrics.page()


def test_two_gateways_in_one_process_count_for_themselves(metrics: Metrics) -> None:
    other = Metrics(["digits"])
    end(metrics, model="digits")

    assert read(other, "requests_total") == {}
