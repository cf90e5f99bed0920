"""`/healthz` and `/readyz`."""

import httpx
import pytest
from starlette.testclient import TestClient

from serving.gateway.application import create_app
from serving.gateway.settings import Settings
from tests.serving.gateway.page.conftest import NOBODY, Gateway, gateway_for, model


def get(url: str) -> httpx.Response:
    return httpx.get(url, trust_env=False)


def test_one_model_that_is_down_does_not_take_the_other_offline(gateway: Gateway) -> None:
    answer = get(f"{gateway.url}/readyz")
    reason = "no replica of pets can be reached now"

    assert 200 == answer.status_code
    assert {
        "ready": True,
        "missing": [reason],
        "models": {
            "digits": {"ready": True, "version": 2, "reason": ""},
            "pets": {"ready": False, "version": None, "reason": reason},
        },
    } == answer.json()


def test_without_any_model_that_answers_the_gateway_lives_and_is_not_ready() -> None:
    with gateway_for(model(f"digits={NOBODY}"), model(f"pets={NOBODY}")) as url:
        lives, ready = get(f"{url}/healthz"), get(f"{url}/readyz")

    assert (200, {"status": "ok"}) == (lives.status_code, lives.json())
    assert (503, "2") == (ready.status_code, ready.headers["retry-after"])
    assert (
        "no model answers: no replica of digits can be reached now; no replica of pets can be reached now"
        == ready.json()["error"]
    )
    # Everybody may ask: so nothing here says where the replicas are.
    assert NOBODY not in ready.text


def test_a_gateway_that_stops_is_not_ready_from_then_on(gateway: Gateway) -> None:
    app = create_app(Settings(models=[model(f"digits={gateway.replicas[0]}")]))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        client.portal.call(app.state.readiness.ask)  # type: ignore[union-attr]
        before = client.get("/readyz")
        app.state.stopping.set()
        after = client.get("/readyz")

    assert 200 == before.status_code
    assert (503, "the gateway is stopping") == (after.status_code, after.json()["error"])


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_monitor_may_ask_for_the_head_only(gateway: Gateway, path: str) -> None:
    answer = httpx.head(f"{gateway.url}{path}", trust_env=False)

    assert (200, b"") == (answer.status_code, answer.content)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_no_proxy_keeps_what_a_probe_was_answered(gateway: Gateway, path: str) -> None:
    assert "no-store" == get(f"{gateway.url}{path}").headers["cache-control"]
