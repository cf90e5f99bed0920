"""What the OpenAPI document says besides what the framework knows. `test_schema` compares it with the answers."""

from pathlib import Path
from typing import Any

import pytest

from serving.gateway.application import create_app
from serving.gateway.security.keys import Key, digest_of
from serving.gateway.settings import Settings, parse_model

CLASSIFY = ("/v1/classify/{model}", "post")


def document(keys: Path | None = None) -> dict[str, Any]:
    model = parse_model("digits=127.0.0.1:9", latest=False, tls=None)
    return create_app(Settings(models=[model], keys=keys)).openapi()


@pytest.fixture
def guarded(tmp_path: Path) -> dict[str, Any]:
    """Of a gateway with keys."""
    file = tmp_path / "keys"
    file.write_text(Key(name="a", digest=digest_of("a-key")).line())
    return document(file)


def statuses(made: dict[str, Any], path: str, method: str = "get") -> set[str]:
    return set(made["paths"][path][method]["responses"])


def test_a_gateway_with_keys_says_how_to_send_one_and_what_needs_none(guarded: dict[str, Any]) -> None:
    paths = guarded["paths"]

    assert {"bearer", "header"} == set(guarded["components"]["securitySchemes"])
    assert (
        [{"bearer": []}, {"header": []}] == paths[CLASSIFY[0]]["post"]["security"] == paths["/fleet"]["get"]["security"]
    )
    assert "security" not in paths["/healthz"]["get"]
    assert {"401", "429"} <= statuses(guarded, *CLASSIFY)
    assert not {"401", "403", "429"} & statuses(guarded, "/healthz")


def test_a_gateway_without_keys_names_none() -> None:
    made = document()

    assert "securitySchemes" not in made["components"]
    assert "403" in statuses(made, *CLASSIFY)
    assert not {"401", "429"} & statuses(made, *CLASSIFY)


def test_a_request_to_a_model_has_a_timeout_and_its_answer_the_version_and_the_replica() -> None:
    """The same for each application of a process."""
    for made in (document(), document()):
        operation = made["paths"][CLASSIFY[0]]["post"]
        names = [each["name"] for each in operation["parameters"]]
        headers = operation["responses"]["200"]["headers"]

        assert ["model", "top", "version", "X-Timeout-Seconds"] == names
        assert {"X-Model-Version", "X-Replica", "X-Request-Id"} == set(headers)
        assert {"X-Request-Id"} == set(operation["responses"]["503"]["headers"])


def test_only_a_request_with_a_body_has_the_errors_of_a_body() -> None:
    made = document()

    assert {"408", "413", "415", "422", "504"} <= statuses(made, *CLASSIFY)
    assert {"200", "400", "403", "405", "500"} == statuses(made, "/healthz") == statuses(made, "/fleet")
    assert not {name for name in made["components"]["schemas"] if "ValidationError" in name}
