"""REST: status, metadata, predict, classify, regress."""

from typing import Any

import httpx

from tests.conformance.facts import Needs, fact
from tests.conformance.models import warm_up_record
from tests.conformance.server import ASKED, STABLE, ServerUnderTest

_BASE = f"/v1/models/{ASKED}"


def body(answer: httpx.Response) -> tuple[int, Any]:
    """Status code and JSON of an answer; where it has none, the text."""
    try:
        return answer.status_code, answer.json()
    except ValueError:
        return answer.status_code, answer.text


@fact(
    "rest-status",
    "the status page has versions as strings, states by name and an error code by name",
    relied="operations",
    needs=Needs.REST,
)
def _status(at: ServerUnderTest) -> None:
    ok = {"error_code": "OK", "error_message": ""}
    expected = [{"version": version, "state": "AVAILABLE", "status": ok} for version in ("2", "1")]
    at.expect((200, {"model_version_status": expected}), body(at.get(_BASE)))
    at.expect((200, {"model_version_status": expected[1:]}), body(at.get(f"{_BASE}/versions/1")))


@fact(
    "rest-readiness",
    "`GET /v1/models/M/labels/stable/metadata` is 200 only while the labelled version is loaded; the status page of a "
    "model that was ever seen is 200 in every state",
    relied="readiness probes",
    needs=Needs.FILES_AND_REST,
)
def _readiness(at: ServerUnderTest) -> None:
    at.serve("probed", 1, 2, stable=2)
    path = "/v1/models/probed"
    at.eventually(200, lambda: at.get(f"{path}/labels/{STABLE}/metadata").status_code)
    at.expect(400, at.get(f"{path}/labels/other/metadata").status_code, "an unknown label")
    at.folder.remove("probed", 2)
    at.eventually([(2, "END"), (1, "AVAILABLE")], lambda: at.states("probed"))
    at.expect(404, at.get(f"{path}/labels/{STABLE}/metadata").status_code, "the label of an unloaded version")
    at.expect(200, at.get(path).status_code, "the status page")


@fact(
    "rest-readiness-during-load",
    "while the only version of a labelled model loads, its metadata page is 404 and its status page 200",
    relied="readiness probes",
    needs=Needs.FILES_AND_REST,
)
def _readiness_during_load(at: ServerUnderTest) -> None:
    with at.folder.gate("coming.gate") as gate:
        at.folder.add("coming", 1, warm_up=[warm_up_record("gate", path=gate.path)])
        at.write_config(at.folder.model("coming", versions=[1], stable=1))
        gate.wait_until_reached()
        at.expect(404, at.get(f"/v1/models/coming/labels/{STABLE}/metadata").status_code)
        at.expect(200, at.get("/v1/models/coming").status_code)
    at.eventually(200, lambda: at.get(f"/v1/models/coming/labels/{STABLE}/metadata").status_code)


@fact(
    "rest-metadata",
    "the metadata page has the version as a string and the signatures",
    relied="readiness probes",
    needs=Needs.REST,
)
def _metadata(at: ServerUnderTest) -> None:
    status, page = body(at.get(f"{_BASE}/labels/{STABLE}/metadata"))
    at.expect(200, status)
    at.expect({"name": ASKED, "signature_name": "", "version": "1"}, page["model_spec"])
    at.expect(True, "serving_default" in page["metadata"]["signature_def"]["signature_def"])


@fact(
    "rest-predict",
    "predict takes rows (`instances`, with or without names) and columns (`inputs`), by version, label or neither",
    relied="README: the example with curl",
    needs=Needs.REST,
)
def _predict(at: ServerUnderTest) -> None:
    for path, asked, answered in (
        ("", {"instances": [1.0, 2.0]}, {"predictions": [2.0, 4.0]}),
        ("", {"instances": [{"x": 1.0}]}, {"predictions": [2.0]}),
        ("", {"inputs": [1.0, 2.0]}, {"outputs": [2.0, 4.0]}),
        ("", {"inputs": {"x": [1.0]}}, {"outputs": [2.0]}),
        (f"/labels/{STABLE}", {"instances": [1.0]}, {"predictions": [1.0]}),
        ("/versions/1", {"instances": [1.0]}, {"predictions": [1.0]}),
        ("", {"signature_name": "same", "instances": [3.0]}, {"predictions": [3.0]}),
    ):
        at.expect((200, answered), body(at.post(f"{_BASE}{path}:predict", json=asked)))


@fact(
    "rest-examples",
    "classify and regress take `examples`, with `context`; bytes are written as `b64`",
    relied="embedded server",
    needs=Needs.REST,
)
def _examples(at: ServerUnderTest) -> None:
    for verb, asked, answered in (
        ("classify", {"examples": [{"x": 2.0, "label": {"b64": "dHdv"}}]}, [[["two", 4.0]]]),
        ("regress", {"context": {"x": 2.0}, "examples": [{}, {"x": 3.0}]}, [4.0, 6.0]),
    ):
        answer = at.post(f"{_BASE}:{verb}", json={"signature_name": verb, **asked})
        at.expect((200, {"results": answered}), body(answer))


@fact(
    "rest-not-finite",
    "numbers that are not finite are written bare: `NaN`, `Infinity`",
    relied="embedded server",
    needs=Needs.REST,
)
def _not_finite(at: ServerUnderTest) -> None:
    answer = at.post(f"{_BASE}:predict", content=b'{"instances": [NaN, Infinity, -Infinity]}')
    at.expect(["NaN", "Infinity", "-Infinity"], answer.text.partition("[")[2].partition("\n")[0].split(", "))


@fact(
    "rest-preflight",
    "a browser that asks whether it may is answered with 200, also without `--rest_api_enable_cors_support`",
    relied="embedded server",
    needs=Needs.REST,
)
def _preflight(at: ServerUnderTest) -> None:
    at.expect(200, at.http("OPTIONS", f"{_BASE}:predict", headers={"Origin": "http://example.org"}).status_code)
