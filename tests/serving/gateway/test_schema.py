"""Requests made from the gateway's OpenAPI document, valid and not: what comes back is what the document says."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.hunts import hunt
from tests.serving.gateway.running import RunningGateway, gateway
from tests.serving.gateway.typed import MODELS, typed_server

NO_SERVER_ERROR = schemathesis.checks.not_a_server_error
CHECKS = [
    NO_SERVER_ERROR,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]
EXAMPLES = 40
PATHS = 20


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with (
        typed_server(tmp_path_factory.mktemp("models")) as server,
        gateway(*(f"{model}={server.grpc}" for model in MODELS)) as opened,
    ):
        yield opened


@hunt
@pytest.mark.timeout(3600)
def test_answers_are_as_the_document_says(running: RunningGateway) -> None:
    """The same requests each time: of each path so many by its schema, and so many that break it."""
    document = schemathesis.openapi.from_url(f"{running.url}/openapi.json")
    few = settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    count = 0
    for result in document.get_all_operations():
        assert isinstance(result, Ok), result.err()
        operation = result.ok()
        # Without a body nothing can break the schema: names in paths are any text.
        modes = list(schemathesis.GenerationMode) if operation.body else [schemathesis.GenerationMode.POSITIVE]
        for mode in modes:
            few(given(operation.as_strategy(generation_mode=mode))(_check))()
        count += 1

    assert count >= PATHS


def _check(case: schemathesis.Case[Any]) -> None:
    """Send the request, of four in five for a model that exists, and compare the answer with the document."""
    number = len(str(case.path_parameters.get("model", ""))) % 5
    if "model" in case.path_parameters and number:
        case.path_parameters["model"] = (*MODELS, "digits")[number - 1]
    # The least time above 0 is too short for any answer.
    case.headers.pop("X-Timeout-Seconds", None)
    # On a busy machine a model may not answer the gateway within a second; then it is not ready, and 503 says so.
    probe = case.path in ("/readyz", "/v2/health/ready")
    case.call_and_validate(checks=[check for check in CHECKS if not (probe and check is NO_SERVER_ERROR)])
