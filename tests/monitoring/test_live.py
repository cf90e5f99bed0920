"""Prometheus with our files reads three live model servers: every panel has data, and alerts fire in it.

Three rules change the files for this: addresses of the services become ports of this machine, each duration is divided
by `FASTER`, and Grafana's variables are replaced as Grafana does it. Promtool shows without a clock when alerts must be
silent: `docker/prometheus/alerts_test.yaml`.
"""

import re
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.monitoring.files import ALERTS, CONFIG, as_grafana_sends, queries, variable_queries
from tests.monitoring.saved_model import write_saved_model
from tests.monitoring.servers import MODEL, MonitoredServer, monitored_server, wait_for_load, wait_until_ready
from tests.monitoring.tools import needs_prometheus
from tests.ports import free_port
from tests.serving.model_server.world import eventually

pytestmark = [pytest.mark.platform, needs_prometheus]

# One minute of the files is four seconds here, and Prometheus reads every 333 ms.
FASTER = 15
REPLICAS = ("serving-1", "serving-2", "serving-3")
LONG_SECONDS = 60


class Prometheus:
    """Its HTTP API."""

    def __init__(self, port: int) -> None:
        self._api = f"http://127.0.0.1:{port}/api/v1"

    def ready(self) -> bool:
        try:
            return not [each for each in self._get("targets")["activeTargets"] if each["health"] != "up"]
        except httpx.HTTPError:
            return False

    def query(self, query: str) -> list[Any]:
        """Series with a number, at this moment."""
        found: list[Any] = self._get("query", query=query)["result"]
        return [series for series in found if series["value"][1] != "NaN"]

    def firing(self) -> set[tuple[str, str]]:
        """Alert and replica."""
        alerts = [each for each in self._get("alerts")["alerts"] if each["state"] == "firing"]
        return {(each["labels"]["alertname"], each["labels"].get("instance", "")) for each in alerts}

    def label_values(self, query: str) -> set[str]:
        """Grafana's `label_values(SERIES, LABEL)`."""
        series, label = query.removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
        return set(self._get(f"label/{label}/values", **{"match[]": series}))

    def _get(self, path: str, **words: str) -> Any:
        return httpx.get(f"{self._api}/{path}", params=words, timeout=10).raise_for_status().json()["data"]


def test_every_panel_has_data_the_ring_shows_its_harm_and_a_replica_that_ends_is_an_alert(tmp_path: Path) -> None:
    models = tmp_path / MODEL
    write_saved_model(models / "1")
    write_saved_model(models / "2")
    (models / "3").mkdir()
    (models / "3" / "saved_model.pb").write_bytes(b"damaged")
    with ExitStack() as stack:
        servers = [stack.enter_context(monitored_server(tmp_path / name, models)) for name in REPLICAS]
        for server in servers:
            wait_until_ready(server)
        prometheus = stack.enter_context(_prometheus(tmp_path / "prometheus", servers))
        stack.enter_context(_traffic(servers))
        # Candidates on the first ring: one loads, one does not.
        servers[0].serve(1, 2, 3)
        wait_for_load(servers[0], 3, "fail")

        eventually(lambda: ("LoadFails", "serving-1") in prometheus.firing(), seconds=LONG_SECONDS)
        eventually(lambda: not _empty(prometheus), seconds=LONG_SECONDS)
        _check_rings(prometheus)
        _check_variables(prometheus)

        servers[2].stop()
        expected = {("ReplicaDown", "serving-3"), ("RequestsFail", "serving-1")}
        eventually(lambda: expected <= prometheus.firing(), seconds=LONG_SECONDS)


def _empty(prometheus: Prometheus) -> set[str]:
    """Queries of the dashboard without data."""
    return {panel for panel, query in queries().items() if not prometheus.query(_sent(query))}


def _check_rings(prometheus: Prometheus) -> None:
    """Requests fail on the first ring only, and it alone has the candidate."""

    def values(panel: str) -> dict[str, float]:
        found = prometheus.query(_sent(queries()[panel]))
        return {each["metric"].get("instance", each["metric"].get("status")): float(each["value"][1]) for each in found}

    first, others = values("Error ratio by replica, first ring A"), values("Error ratio by replica, other replicas A")
    versions = prometheus.query(_sent(queries()["Versions that were loaded, and since when A"]))

    assert {"serving-1"} == set(first)
    assert 0.2 < first["serving-1"] < 0.8
    assert {"serving-2": 0, "serving-3": 0} == others
    assert {"OK", "NOT_FOUND"} == set(values("Requests per second by status, first ring A"))
    assert {
        ("first", "serving-1", "1"),
        ("first", "serving-1", "2"),
        ("rest", "serving-2", "1"),
        ("rest", "serving-3", "1"),
    } == {(each["metric"]["ring"], each["metric"]["instance"], each["metric"]["version"]) for each in versions}


def _check_variables(prometheus: Prometheus) -> None:
    values = {name: prometheus.label_values(_sent(query)) for name, query in variable_queries().items()}

    assert {"serving"} == values["job"]
    assert set(REPLICAS) == values["replica"]
    assert {MODEL} == {path.split("/")[-2] for path in values["model"]}


def _sent(query: str) -> str:
    """Four scrape intervals are Grafana's shortest window."""
    return as_grafana_sends(query, rate_interval="1500ms")


@contextmanager
def _traffic(servers: list[MonitoredServer]) -> Iterator[None]:
    """Requests to each server until the end; half of those for the first ring ask for a version that is not there."""
    over = threading.Event()

    def ask(server: MonitoredServer, *, fails: bool) -> None:
        while not over.wait(0.05):
            try:
                server.predict()
                if fails:
                    server.predict(f"{MODEL}/versions/9")
            except httpx.HTTPError:
                return  # It was stopped.

    threads = [threading.Thread(target=ask, args=(each,), kwargs={"fails": each is servers[0]}) for each in servers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@contextmanager
def _prometheus(folder: Path, servers: list[MonitoredServer]) -> Iterator[Prometheus]:
    folder.mkdir()
    port = free_port()
    # No gateway runs: Prometheus' own page of metrics stands for its page, and then it counts as up.
    addresses = dict.fromkeys(("127.0.0.1:9090", "gateway:8091"), f"127.0.0.1:{port}")
    addresses |= {f"{name}:8501": f"127.0.0.1:{each.rest_port}" for name, each in zip(REPLICAS, servers, strict=True)}
    for file in (CONFIG, ALERTS):
        (folder / file.name).write_text(_faster(_moved(file.read_text(), addresses)))
    command = [
        *("prometheus", f"--config.file={folder / CONFIG.name}", f"--storage.tsdb.path={folder / 'data'}"),
        *(f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"),
    ]
    with (folder / "log").open("wb") as log:
        started = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    prometheus = Prometheus(port)
    try:
        eventually(prometheus.ready, seconds=LONG_SECONDS)
        yield prometheus
    finally:
        started.kill()
        started.wait(10)


def _moved(text: str, addresses: Mapping[str, str]) -> str:
    for service, address in addresses.items():
        text = text.replace(f'"{service}"', f'"{address}"')
    return text


def _faster(text: str) -> str:
    """Each duration, such as `5s` or `[10m]`, divided by `FASTER`."""

    def milliseconds(found: re.Match[str]) -> str:
        return f"{int(found[1]) * {'s': 1000, 'm': 60_000}[found[2]] // FASTER}ms"

    return re.sub(r"\b(\d+)([sm])\b", milliseconds, text)
