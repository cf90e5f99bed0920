"""The files of Prometheus and Grafana, the PromQL in them, and what Grafana would put in place of its variables."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parents[2]
PROMETHEUS = PROJECT / "docker" / "prometheus"
GRAFANA = PROJECT / "docker" / "grafana"
CONFIG = PROMETHEUS / "prometheus.yaml"
ALERTS = PROMETHEUS / "alerts.yaml"

# What Grafana puts in place of the variables where everything is chosen and one model exists.
VARIABLES = {"job": "serving", "model": "digits", "replica": ".*"}

# A metric is followed by its labels or by a window, or gives a variable its values.
_METRIC = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)[{\[]|label_values\(([\w:]+),")


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def dashboard(name: str = "serving.json") -> Any:
    return json.loads((GRAFANA / "dashboards" / name).read_text(encoding="utf-8"))


def panels(*, rows: bool = False) -> list[Any]:
    """The panels that show data; with `rows`, also the headings."""
    return [panel for panel in dashboard()["panels"] if rows or panel["type"] != "row"]


def queries() -> dict[str, str]:
    """Title of a panel (with the letter of the query), or name of an annotation -> PromQL with Grafana's variables."""
    found = {f"{panel['title']} {each['refId']}": each["expr"] for panel in panels() for each in panel["targets"]}
    return found | {
        each["name"]: each["target"]["expr"] for each in _from_prometheus(dashboard()["annotations"]["list"])
    }


def variable_queries() -> dict[str, str]:
    """Name of a variable -> how Grafana asks for its values: `label_values(SERIES, LABEL)`."""
    return {
        each["name"]: each["query"]["query"] for each in dashboard()["templating"]["list"] if each["type"] == "query"
    }


def as_grafana_sends(query: str, *, rate_interval: str = "20s", variables: Mapping[str, str] = VARIABLES) -> str:
    """The query with values in place of the variables; a `$1` of `label_replace` stays."""
    values = {**variables, "__rate_interval": rate_interval}
    return re.sub(r"\$([a-zA-Z_]\w*)", lambda found: values[found[1]], query)


def alert_rules() -> list[Any]:
    return [rule for group in read_yaml(ALERTS)["groups"] for rule in group["rules"]]


def metrics_in(query: str) -> set[str]:
    return {name for found in _METRIC.findall(query) for name in found if name}


def _from_prometheus(annotations: list[Any]) -> Iterator[Any]:
    return (each for each in annotations if not each.get("builtIn"))
