"""The REST API over a core without TensorFlow, asked without sockets."""

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from grpc import StatusCode

from serving.model_server.api import Api
from serving.model_server.metrics import server_metrics
from serving.model_server.rest.handler import Handler
from serving.model_server.rest.http_messages import LARGEST_UNCOMPRESSED, Answer, Request, error_page
from serving.rest_json.http_status import HTTP_STATUS
from serving.status import StatusError
from tests.serving.model_server.world import World, config, eventually

INSTANCES = b'{"instances": [1.0, 2.0]}'
METRICS = "/monitoring/prometheus/metrics"

STATUS_OF_VERSION_1 = """{
 "model_version_status": [
  {
   "version": "1",
   "state": "AVAILABLE",
   "status": {
    "error_code": "OK",
    "error_message": ""
   }
  }
 ]
}
"""

ParsedJson = Any


@pytest.fixture
def handler(world: World) -> Handler:
    """Two versions of `m`, the label `stable` on the lower one."""
    world.add(1, 2)
    world.core.reload(config(world.base, versions=[1, 2]))
    eventually(lambda: world.states() == {1: "AVAILABLE", 2: "AVAILABLE"})
    world.core.reload(config(world.base, versions=[1, 2], stable=1))
    return over(world)


def over(world: World, **options: Any) -> Handler:
    return Handler(Api(world.core, as_content=True), **options)


def get(handler: Handler, target: str, **headers: str) -> Answer:
    return handler.answer(Request(method="GET", target=target, headers=headers))


def post(handler: Handler, target: str, body: bytes = INSTANCES, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return handler.answer(Request(method="POST", target=target, headers=named, body=body))


def parsed(answer: Answer) -> ParsedJson:
    assert answer.content_type == "application/json"
    return json.loads(answer.body)


def test_status_reads_as_upstream_prints_it(handler: Handler) -> None:
    answer = get(handler, "/v1/models/m/versions/1")

    assert (answer.status, answer.content_type) == (200, "application/json")
    assert answer.body.decode() == STATUS_OF_VERSION_1


def test_status_lists_all_versions_and_a_label_counts_for_nothing(handler: Handler) -> None:
    for target in ("/v1/models/m", "/v1/models/m/labels/whatever", "/v1/models/m/METADATA"):
        listed = parsed(get(handler, target))["model_version_status"]

        assert [each["version"] for each in listed] == ["2", "1"]


def test_status_is_200_whatever_the_state(world: World) -> None:
    world.add(1)
    world.core.reload(config(world.base))
    world.add(2, broken=True)
    eventually(lambda: world.states().get(2) == "END NOT_FOUND")

    answer = get(over(world), "/v1/models/m/versions/2")
    (status,) = parsed(answer)["model_version_status"]

    assert answer.status == 200
    assert (status["state"], status["status"]["error_code"]) == ("END", "NOT_FOUND")
    assert "no model in" in status["status"]["error_message"]


def test_metadata_has_upstream_s_shape(handler: Handler) -> None:
    expected = {
        "model_spec": {"name": "m", "version": "2", "signature_name": ""},
        "metadata": {
            "signature_def": {
                "signature_def": {
                    "serving_default": {
                        "inputs": {"x": {"name": "x:0", "dtype": "DT_FLOAT"}},
                        "outputs": {
                            "y": {"name": "y:0", "dtype": "DT_FLOAT"},
                            "z": {"name": "z:0", "dtype": "DT_FLOAT"},
                        },
                        "method_name": "tensorflow/serving/predict",
                        "defaults": {},
                    }
                }
            }
        },
    }
    answer = get(handler, "/v1/models/m/metadata")

    assert answer.status == 200
    assert parsed(answer) == expected
    assert answer.body.startswith(b'{\n"model_spec":{\n "name": "m",\n')
    assert answer.body.endswith(b"}\n}\n}\n")


def test_metadata_of_a_label_tells_whether_its_version_is_loaded(world: World) -> None:
    """The URL for a readiness probe: 400 without the label, 404 while its version is not there, 200 when it is."""
    world.add(1)
    world.core.reload(config(world.base))
    handler, target = over(world), "/v1/models/m/labels/stable/metadata"
    unlabelled = get(handler, target)
    world.core.reload(config(world.base, stable=1))
    loaded = get(handler, target)
    (world.base / "1").rename(world.base / "gone")
    eventually(lambda: world.states() == {1: "END"})
    gone = get(handler, target)

    assert unlabelled.status == 400
    assert parsed(unlabelled) == {"error": "Unrecognized servable version label: stable"}
    assert (loaded.status, parsed(loaded)["model_spec"]["version"]) == (200, "1")
    assert (gone.status, parsed(gone)) == (404, {"error": "Servable not found for request: Specific(m, 1)"})


@pytest.mark.parametrize(
    ("path", "factor"),
    [("/v1/models/m", 2.0), ("/v1/models/m/versions/1", 1.0), ("/v1/models/m/labels/stable", 1.0), ("/V1/Models/m", 2)],
)
def test_predict_by_name_version_and_label(handler: Handler, path: str, factor: float) -> None:
    answer = post(handler, f"{path}:predict")

    assert answer.status == 200
    assert parsed(answer) == {"predictions": [{"y": factor, "z": -factor}, {"y": 2 * factor, "z": -2 * factor}]}


def test_inputs_by_column_are_answered_by_column(handler: Handler) -> None:
    answer = post(handler, "/v1/models/m:predict", b'{"signature_name": "serving_default", "inputs": [3.0]}')

    assert parsed(answer) == {"outputs": {"y": [6.0], "z": [-6.0]}}


@pytest.mark.parametrize(
    ("target", "body", "status", "error"),
    [
        ("/v1/models/foo:predict", INSTANCES, 404, "Servable not found for request: Latest(foo)"),
        ("/v1/models/m/versions/9:predict", INSTANCES, 404, "Servable not found for request: Specific(m, 9)"),
        ("/v1/models/m/labels/a%2Fb:predict", INSTANCES, 400, "Unrecognized servable version label: a/b"),
        ("/v1/models/m:predict", b"", 400, "JSON Parse error: The document is empty"),
        (
            "/v1/models/m:predict",
            b'{"signature_name": "s", "instances": [1]}',
            400,
            'Serving signature name: "s" not found in signature def',
        ),
        ("/v1/models/m:Predict", INSTANCES, 400, "Malformed request: POST /v1/models/m:Predict"),
        ("/v1/models/m:predict?a=b", INSTANCES, 400, "Malformed request: POST /v1/models/m:predict?a=b"),
        ("/v1/foo", INSTANCES, 400, "Malformed request: POST /v1/foo"),
    ],
)
def test_a_refused_prediction_says_why(handler: Handler, target: str, body: bytes, status: int, error: str) -> None:
    answer = post(handler, target, body)

    assert (answer.status, parsed(answer)) == (status, {"error": error})


@pytest.mark.parametrize(
    ("target", "status", "error"),
    [
        ("/v1/models", 400, "Missing model name in request."),
        ("/v1/models/versions/3/metadata", 400, "Missing model name in request."),
        ("/v1/foo", 400, "Malformed request: GET /v1/foo"),
        ("/v1/models/foo", 404, "Could not find any versions of model foo"),
        ("/v1/models/m?verbose", 404, "Could not find any versions of model m?verbose"),
        ("/v1/models/m/versions/9", 404, "Could not find version 9 of model m"),
        ("/v1/models/m/versions/9/metadata", 404, "Servable not found for request: Specific(m, 9)"),
    ],
)
def test_a_refused_question_says_why(handler: Handler, target: str, status: int, error: str) -> None:
    answer = get(handler, target)

    assert (answer.status, parsed(answer)) == (status, {"error": error})


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH"])
def test_methods_of_no_use_are_malformed(handler: Handler, method: str) -> None:
    answer = handler.answer(Request(method=method, target="/v1/models/m"))

    assert (answer.status, parsed(answer)) == (400, {"error": f"Malformed request: {method} /v1/models/m"})


def test_a_version_beyond_int64_is_refused_without_a_word(handler: Handler) -> None:
    """Upstream forgets the body, yet gives the type it would have had."""
    expected = Answer(status=400, content_type="application/json")

    assert get(handler, f"/v1/models/m/versions/{2**63}") == expected
    assert post(handler, f"/v1/models/m/versions/{2**63}:predict") == expected


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("TRACE", "/v1/models/m", 501),
        ("PROPFIND", "/v1/models/m", 501),
        ("GET", "/v1/models/%zz", 400),
        ("GET", "/", 404),
        ("GET", "/v2/models/m", 404),
        ("GET", METRICS, 404),
    ],
)
def test_what_does_not_concern_the_api_is_answered_with_a_page(
    handler: Handler, method: str, target: str, status: int
) -> None:
    assert handler.answer(Request(method=method, target=target)) == error_page(status)


def test_the_page_is_that_of_upstream_s_http_server() -> None:
    expected = "<HTML><HEAD>\n<TITLE>404 Not Found</TITLE>\n</HEAD><BODY>\n<H1>Not Found</H1>\n</BODY></HTML>\n"
    page = error_page(404)

    assert page.body.decode() == expected
    assert (page.content_type, page.headers) == ("text/html", {"connection": "close"})


def test_a_name_may_need_escaping(world: World) -> None:
    world.add(1)
    world.core.reload(config(world.base, name="größer als/1"))
    handler = over(world)

    assert get(handler, "/v1/models/gr%C3%B6%C3%9Fer%20als%2F1").status == 200
    assert post(handler, "/v1/models/gr%C3%B6%C3%9Fer%20als%2f1:predict").status == 200
    assert "größer" in get(handler, "/v1/models/gr%C3%B6%C3%9Fer").body.decode()


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate, gzip"])
def test_a_compressed_body_is_restored(handler: Handler, encoding: str) -> None:
    answer = post(handler, "/v1/models/m:predict", gzip.compress(INSTANCES), content_encoding=encoding)

    assert answer.status == 200


def bomb() -> bytes:
    return gzip.compress(b'{"instances": [1.0], "x": "' + b" " * LARGEST_UNCOMPRESSED + b'"}')


@pytest.mark.parametrize(
    "body",
    [
        lambda: b"these are no compressed bytes",
        lambda: gzip.compress(INSTANCES)[:-4],
        lambda: gzip.compress(INSTANCES) + b"more",
        lambda: INSTANCES,
        bomb,
    ],
    ids=["garbage", "cut short", "more than one", "not compressed", "bomb"],
)
def test_a_compressed_body_that_cannot_be_restored_is_empty(handler: Handler, body: Callable[[], bytes]) -> None:
    answer = post(handler, "/v1/models/m:predict", body(), content_encoding="gzip")

    assert (answer.status, parsed(answer)) == (400, {"error": "JSON Parse error: The document is empty"})


def test_any_status_has_its_http_status(world: World, handler: Handler, monkeypatch: pytest.MonkeyPatch) -> None:
    for code in StatusCode:
        if code is StatusCode.OK:
            continue
        monkeypatch.setattr(world.shelf.models[2], "run", raising(StatusError("words", code)))
        answer = post(handler, "/v1/models/m:predict")

        assert (answer.status, parsed(answer)) == (HTTP_STATUS[code], {"error": "words"})


def raising(error: Exception) -> Callable[..., Any]:
    def run(*_: object, **__: object) -> Any:
        raise error

    return run


def test_a_model_that_fails_in_an_unforeseen_way_is_an_internal_error(
    world: World, handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.shelf.models[2], "run", raising(ZeroDivisionError()))
    answer = post(handler, "/v1/models/m:predict")

    assert answer.status == 500
    assert parsed(answer) == {"error": "internal error; the server's log has the details"}


@pytest.mark.parametrize("timeout", [None, 1.5])
def test_a_model_is_told_how_long_it_has(
    world: World, handler: Handler, monkeypatch: pytest.MonkeyPatch, timeout: float | None
) -> None:
    model, told = world.shelf.models[2], []
    run = model.run

    def listening(*arguments: Any, timeout_seconds: float | None = None) -> Any:
        told.append(timeout_seconds)
        return run(*arguments)

    monkeypatch.setattr(model, "run", listening)
    post(over(world, timeout_seconds=timeout), "/v1/models/m:predict")

    assert told == [timeout]


@pytest.mark.parametrize("cors", [False, True])
def test_browsers_are_let_in_where_asked_for(world: World, cors: bool) -> None:
    """...and may ask in any case, as upstream has it."""
    handler = over(world, cors=cors)
    allowed = {
        "access-control-allow-origin": "*",
        "access-control-allow-methods": "POST, GET",
        "access-control-allow-headers": "Content-Type",
    }
    asked = Request(method="OPTIONS", target="/v1/models/m:predict", headers={"origin": "https://a.example"})
    preflight = handler.answer(asked)

    assert (preflight.status, preflight.body) == (200, b"")
    assert preflight.headers == (allowed if cors else {})
    assert get(handler, "/v1/models/m").headers == (allowed if cors else {})


@pytest.mark.parametrize("headers", [{}, {"origin": "null"}])
def test_a_preflight_without_an_origin_is_refused_without_a_word(handler: Handler, headers: dict[str, str]) -> None:
    answer = handler.answer(Request(method="OPTIONS", target="/v1/models/m", headers=headers))

    assert (answer.status, answer.body) == (400, b"")


def test_prometheus_finds_its_page_where_it_is_enabled(world: World) -> None:
    handler = over(world, metrics_path="/v1/metrics")
    page, elsewhere, with_query = (
        get(handler, target) for target in ("/v1/metrics", "/v1/metrics/", "/v1/metrics?name=up")
    )

    assert (page.status, page.content_type) == (200, "text/plain")
    assert b":tensorflow:serving:request_count{" in page.body
    assert elsewhere.status == 400
    assert (with_query.status, with_query.content_type) == (400, "text/plain")
    assert with_query.body == b"Unexpected path: /v1/metrics?name=up. Should be /v1/metrics"


def test_requests_are_counted_by_their_outcome_and_timed_when_well_answered(world: World) -> None:
    """...questions about a model, too, under the API of no name."""
    name = "counted"
    world.add(1)
    world.core.reload(config(world.base, name=name))
    handler = over(world)
    for path in (":predict", ":predict", "/versions/9:predict", ":PREDICT", f"/versions/{2**64}:predict"):
        post(handler, f"/v1/models/{name}{path}")
    get(handler, f"/v1/models/{name}")
    get(handler, f"/v1/models/{name}/metadata")

    counts = [server_metrics.request_count.value(name, code) for code in ("OK", "NOT_FOUND", "INVALID_ARGUMENT")]
    assert counts == [4, 1, 2]
    assert server_metrics.request_latency.count(name, "predict", "REST") == 2
    assert server_metrics.request_latency.count(name, "", "REST") == 2


def test_a_request_that_names_no_model_is_counted_for_the_model_of_no_name(world: World) -> None:
    before = server_metrics.request_count.value("", "INVALID_ARGUMENT")
    get(over(world), "/v1/whatever")

    assert server_metrics.request_count.value("", "INVALID_ARGUMENT") == before + 1
