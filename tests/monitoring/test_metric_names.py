"""Dashboard and alerts ask for what a live server exports: a name that is wrong is an empty panel, not an error."""

from pathlib import Path

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.apis import model_management_pb2, model_service_pb2_grpc
from serving.gateway.observation.facts import Facts
from serving.gateway.observation.metrics import Metrics
from tests.monitoring.files import alert_rules, metrics_in, queries, variable_queries
from tests.monitoring.saved_model import write_saved_model
from tests.monitoring.servers import MODEL, MonitoredServer, monitored_server, wait_until_ready
from tests.serving.model_server.test_process import merged
from tests.serving.model_server.world import config

# Prometheus makes these itself.
OF_PROMETHEUS = {"up", "ALERTS"}


@pytest.fixture
def page(tmp_path: Path) -> str:
    """What a server with batching exports after requests over both APIs, a load and a load that failed."""
    write_saved_model(tmp_path / MODEL / "1")
    (tmp_path / "damaged" / "1").mkdir(parents=True)
    (tmp_path / "damaged" / "1" / "saved_model.pb").write_bytes(b"damaged")
    with monitored_server(tmp_path / "server", tmp_path / MODEL) as server:
        wait_until_ready(server)
        assert server.predict() == 200
        assert server.predict(f"{MODEL}/versions/9") == 404
        server.predict_over_grpc()
        _load_at_once(server, tmp_path / "damaged")
        return server.page()


def test_every_metric_of_dashboard_and_alerts_is_exported_by_a_live_server(page: str) -> None:
    expressions = [*queries().values(), *variable_queries().values(), *(rule["expr"] for rule in alert_rules())]
    asked = set().union(*map(metrics_in, expressions))
    both = f"{page}\n{gateway_page()}"
    exported = {sample.name for family in text_string_to_metric_families(both) for sample in family.samples}
    # The parser gives every counter the suffix that the newer format asks for.
    counters = {name.removesuffix("_total") for name in exported}

    assert len(asked) > 10
    assert set() == asked - exported - counters - OF_PROMETHEUS


def gateway_page() -> str:
    """What a gateway exports after a request."""
    metrics = Metrics([MODEL])
    metrics.begin()
    metrics.end(Facts("request", model=MODEL, version=1, shed="queue"), route="/", status=503, seconds=0.1)
    return metrics.page().decode()


def _load_at_once(server: MonitoredServer, damaged: Path) -> None:
    """Without the wait for a poll."""
    whole = merged(config(server.models, name=MODEL, versions=[1]), config(damaged, name="damaged"))
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel, pytest.raises(grpc.RpcError):
        model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest(
            model_management_pb2.ReloadConfigRequest(config=whole), timeout=30
        )
