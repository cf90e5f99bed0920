"""The chart ships the dashboard of docker-compose.yaml, as a copy: helm reads no file outside of a chart."""

import json
from pathlib import Path

from tests.chart.helm import CHART, of_kind, rendered

COPY = CHART / "files" / "serving-dashboard.json"
OWNER = Path(__file__).parents[2] / "docker" / "grafana" / "dashboards" / "serving.json"


def test_the_chart_has_the_dashboard_of_compose() -> None:
    assert OWNER.read_bytes() == COPY.read_bytes(), f"cp {OWNER} {COPY}"


def test_grafana_gets_the_dashboard_as_it_is_with_the_label_that_its_sidecar_looks_for() -> None:
    """A dashboard has braces of its own, which a template would replace."""
    found = of_kind(rendered("full-values.yaml"), "ConfigMap")["u-understudy-serving-dashboard"]

    assert "1" == found["metadata"]["labels"]["grafana_dashboard"]
    (content,) = found["data"].values()
    assert json.loads(COPY.read_text()) == json.loads(content)


def test_there_is_no_dashboard_unless_it_is_asked_for() -> None:
    assert "u-understudy-serving-dashboard" not in of_kind(rendered("gke-cpu-values.yaml"), "ConfigMap")
