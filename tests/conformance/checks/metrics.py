"""The page that Prometheus reads."""

import re

from tests.conformance.facts import Needs, fact
from tests.conformance.server import ASKED, ServerUnderTest

PATH = "/monitoring/prometheus/metrics"
_BASE = f"/v1/models/{ASKED}"


def page(at: ServerUnderTest) -> str:
    return at.get(PATH).text


def _value(at: ServerUnderTest, line: str) -> float:
    found = re.search(rf"^{re.escape(line)} (\S+)$", page(at), re.MULTILINE)
    return float(found[1]) if found else 0.0


@fact(
    "metrics-page",
    "with a monitoring config the REST port has the page /monitoring/prometheus/metrics, in plain text",
    relied="dashboards",
    needs=Needs.REST,
)
def _page(at: ServerUnderTest) -> None:
    at.predict()
    answer = at.get(PATH)
    at.expect(200, answer.status_code)
    at.expect_in("text/plain", answer.headers["content-type"])
    at.expect_in("# TYPE :tensorflow:serving:request_count counter", answer.text)


@fact(
    "metrics-requests",
    "request_count has the labels model_name and status and counts both APIs, also requests for unknown models; there "
    "is no label for the version",
    relied="dashboards",
    needs=Needs.REST,
)
def _requests(at: ServerUnderTest) -> None:
    served = f':tensorflow:serving:request_count{{model_name="{ASKED}",status="OK"}}'
    unknown = ':tensorflow:serving:request_count{model_name="nobody-at-all",status="NOT_FOUND"}'
    before = _value(at, served), _value(at, unknown)
    at.predict()
    at.post(f"{_BASE}:predict", json={"instances": [1.0]})
    at.answer_of("nobody-at-all")
    at.expect((before[0] + 2, before[1] + 1), (_value(at, served), _value(at, unknown)))


@fact(
    "metrics-latency",
    "request_latency is a histogram of successes by API and entrypoint: `Predict` over gRPC, `predict` over REST",
    relied="dashboards",
    needs=Needs.REST,
)
def _latency(at: ServerUnderTest) -> None:
    def counts() -> list[float]:
        labels = ('API="Predict",entrypoint="GRPC"', 'API="predict",entrypoint="REST"')
        name = ":tensorflow:serving:request_latency_count"
        return [_value(at, f'{name}{{model_name="{ASKED}",{each}}}') for each in labels]

    before = counts()
    at.predict()
    at.answer_of(signature="s")
    at.post(f"{_BASE}:predict", json={"instances": [1.0]})
    at.expect([before[0] + 1, before[1] + 1], counts())


@fact(
    "metrics-runtime",
    "runtime_latency has the labels model_name, API and runtime",
    relied="dashboards",
    needs=Needs.REST,
)
def _runtime(at: ServerUnderTest) -> None:
    at.predict()
    at.expect_in(
        f':tensorflow:serving:runtime_latency_count{{model_name="{ASKED}",API="Predict",runtime="TF1"}}', page(at)
    )


@fact(
    "metrics-loads",
    "load_attempt_count has the folder of the version in model_path, and success or fail in status",
    relied="dashboards",
    needs=Needs.REST,
)
def _loads(at: ServerUnderTest) -> None:
    name = ":tensorflow:cc:saved_model:load_attempt_count"
    successes = _value(at, f'{name}{{model_path="{at.folder.there}/{ASKED}/1",status="success"}}')
    at.expect(True, successes >= 1, f"{successes:g} successes")
    at.expect_in(f'load_latency{{model_path="{at.folder.there}/{ASKED}/1"}}', page(at))


@fact(
    "metrics-of-tensorflow",
    "the page also has load stages and TensorFlow's own metrics",
    relied="embedded server",
    needs=Needs.REST,
)
def _of_tensorflow(at: ServerUnderTest) -> None:
    at.expect_in(":tensorflow:cc:saved_model:load_latency_by_stage", page(at))
    at.expect_in(":tensorflow:core:", page(at))
