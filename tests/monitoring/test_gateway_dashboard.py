"""The dashboard of the gateway: Prometheus understands its queries, and the gateway exports what they ask for."""

import re
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.monitoring.files import as_grafana_sends, dashboard, metrics_in
from tests.monitoring.test_metric_names import gateway_page
from tests.monitoring.tools import needs_prometheus, promtool

DASHBOARD = dashboard("gateway.json")
PANELS = DASHBOARD["panels"]
QUERIES = {f"{panel['title']} {each['refId']}": each["expr"] for panel in PANELS for each in panel["targets"]}
(MODEL,) = (each for each in DASHBOARD["templating"]["list"] if each["name"] == "model")


@needs_prometheus
def test_prometheus_parses_every_query(tmp_path: Path) -> None:
    rules = [
        {"record": f"query_{number}", "expr": as_grafana_sends(query)} for number, query in enumerate(QUERIES.values())
    ]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "gateway", "rules": rules}]}))

    assert len(rules) > 6
    promtool("check", "rules", file)


def test_the_gateway_exports_every_metric_with_the_labels_that_are_asked_for() -> None:
    samples = [each for family in text_string_to_metric_families(gateway_page()) for each in family.samples]
    names = {each.name for each in samples}
    labels = {label for each in samples for label in each.labels}
    asked = set().union(*map(metrics_in, [*QUERIES.values(), MODEL["query"]["query"]]))
    grouped = {
        label
        for query in QUERIES.values()
        for group in re.findall(r"by \(([^)]*)\)", query)
        for label in group.split(", ")
    }

    assert len(asked) >= 3
    assert set() == asked - names
    assert set() == grouped - labels


def test_every_panel_has_a_unit_a_place_and_a_description_that_says_what_to_do() -> None:
    places = [(each["gridPos"]["x"], each["gridPos"]["y"]) for each in PANELS]

    assert [] == [each["title"] for each in PANELS if not each["fieldConfig"]["defaults"]["unit"]]
    assert [] == [each["title"] for each in PANELS if not re.search(r"\b[Ii]f\b|:", each["description"])]
    assert len(PANELS) == len({each["id"] for each in PANELS}) == len(set(places))


def test_it_reads_the_data_source_that_the_person_chose() -> None:
    own = {"type": "prometheus", "uid": "${datasource}"}
    targets = [target for panel in PANELS for target in panel["targets"]]

    assert [] == [each for each in (*PANELS, *targets, MODEL) if own != each["datasource"]]
    assert dashboard()["uid"] != DASHBOARD["uid"]
