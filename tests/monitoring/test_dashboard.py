"""The dashboard as Grafana reads it: what panels must have, and that Prometheus understands each query."""

import re
from pathlib import Path
from typing import Any

import yaml
from typer.main import get_command

from pipeline.cli import app
from tests.monitoring.files import (
    GRAFANA,
    alert_rules,
    as_grafana_sends,
    dashboard,
    panels,
    queries,
    read_yaml,
    variable_queries,
)
from tests.monitoring.tools import needs_prometheus, promtool

FIRST, OTHERS = ", first ring", ", other replicas"
# Where docker-compose.yaml mounts the dashboards.
MOUNTED = {"/var/lib/grafana/dashboards": GRAFANA / "dashboards"}


@needs_prometheus
def test_prometheus_parses_every_query(tmp_path: Path) -> None:
    """Promtool parses an expression only in a rule."""
    rules = [
        {"record": f"query_{number}", "labels": {"panel": panel}, "expr": as_grafana_sends(query)}
        for number, (panel, query) in enumerate(queries().items())
    ]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))

    assert len(rules) > 20
    promtool("check", "rules", file)


def test_every_panel_has_a_title_a_unit_and_a_description_that_says_what_to_do() -> None:
    found = panels()

    assert [] == [each["title"] for each in found if not each["fieldConfig"]["defaults"]["unit"]]
    assert [] == [each["title"] for each in found if not re.search(r"\b[Ii]f\b|:", each["description"])]
    assert len({each["title"] for each in found}) == len(found)


def test_verbs_that_descriptions_name_exist() -> None:
    text = " ".join(each["description"] for each in panels())
    named = set(re.findall(r"understudy ([a-z]+)", text))

    assert named
    assert named <= set(get_command(app).commands)  # type: ignore[attr-defined]


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in panels(rows=True):
        x, y, width, height = (panel["gridPos"][each] for each in "xywh")
        assert width > 0
        assert height > 0
        assert x + width <= 24
        for cell in ((column, line) for column in range(x, x + width) for line in range(y, y + height)):
            assert cell not in taken, f"{panel['title']} lies on {taken[cell]}"
            taken[cell] = panel["title"]
    ids = [panel["id"] for panel in panels(rows=True)]

    assert len(set(ids)) == len(ids)


def test_everything_reads_the_data_source_that_the_person_chose() -> None:
    """No uid of a data source stands in the file, so it works with any Prometheus, on Kubernetes too."""
    own = {"type": "prometheus", "uid": "${datasource}"}
    variables = [each for each in dashboard()["templating"]["list"] if each["type"] == "query"]
    annotations = [each for each in dashboard()["annotations"]["list"] if not each.get("builtIn")]
    targets = [target for panel in panels() for target in panel["targets"]]

    assert [] == [each for each in (*panels(), *targets, *variables, *annotations) if own != each["datasource"]]
    assert "datasource" == next(
        each["name"] for each in dashboard()["templating"]["list"] if each["type"] == "datasource"
    )


def test_every_variable_that_a_query_uses_exists() -> None:
    named = {each["name"] for each in dashboard()["templating"]["list"]}
    used = set(re.findall(r"\$([a-zA-Z_]\w*)", " ".join([*queries().values(), *variable_queries().values()])))

    assert {"datasource", "job", "model", "replica"} == named
    assert {"job", "model", "replica", "__rate_interval"} == used


def test_every_query_is_limited_to_the_chosen_job_and_those_about_replicas_to_the_chosen_replicas() -> None:
    selectors = [part for query in queries().values() for part in re.findall(r"\{([^}]*)\}", query)]

    assert [] == [each for each in selectors if 'job=~"$job"' not in each]
    assert ['job=~"$job"'] == [each for each in selectors if 'instance=~"$replica"' not in each]


def test_first_ring_and_other_replicas_stand_side_by_side_with_the_same_queries() -> None:
    """So a candidate that harms the first ring looks different on the left only."""
    left = {each["title"].removesuffix(FIRST): each for each in panels() if each["title"].endswith(FIRST)}
    right = {each["title"].removesuffix(OTHERS): each for each in panels() if each["title"].endswith(OTHERS)}

    assert {"Requests per second by status", "Error ratio by replica", "Latency p50, p95, p99 by API"} == set(left)
    assert {title: _place(panel, 12) for title, panel in left.items()} == {
        title: _place(panel, 0) for title, panel in right.items()
    }
    assert {title: _expressions(panel) for title, panel in left.items()} == {
        title: [each.replace('ring!="first"', 'ring="first"') for each in _expressions(panel)]
        for title, panel in right.items()
    }


def test_the_dashboard_refreshes_every_ten_seconds_in_the_time_of_the_browser() -> None:
    assert ("10s", "browser") == (dashboard()["refresh"], dashboard()["timezone"])


def test_a_model_is_found_by_the_path_of_its_versions() -> None:
    """Not by the name in a request, which a caller may invent. Base paths on disk and in a bucket."""
    (variable,) = (each for each in dashboard()["templating"]["list"] if each["name"] == "model")
    pattern = re.compile(variable["regex"].strip("/").replace("\\/", "/"))
    paths = ["/bucket/published/digits/3", "/bucket/serve/digits/12/", "gs://models/understudy/published/my-model/1"]

    assert ["digits", "digits", "my-model"] == [found[1] for path in paths if (found := pattern.match(path))]
    assert pattern.match("/bucket/published/digits/latest") is None


def test_grafana_is_given_a_prometheus_and_the_folder_of_the_dashboard() -> None:
    (source,) = read_yaml(GRAFANA / "provisioning" / "datasources" / "prometheus.yaml")["datasources"]
    (provider,) = read_yaml(GRAFANA / "provisioning" / "dashboards" / "dashboards.yaml")["providers"]

    assert ("prometheus", "http://prometheus:9090", True) == (source["type"], source["url"], source["isDefault"])
    assert ["gateway.json", "serving.json"] == sorted(
        each.name for each in MOUNTED[provider["options"]["path"]].glob("*.json")
    )


def test_grafana_knows_how_often_prometheus_reads() -> None:
    """Else `$__rate_interval` would be too short for a rate, or four times as long as needed."""
    (source,) = read_yaml(GRAFANA / "provisioning" / "datasources" / "prometheus.yaml")["datasources"]
    config = read_yaml(GRAFANA.parent / "prometheus" / "prometheus.yaml")

    assert config["global"]["scrape_interval"] == source["jsonData"]["timeInterval"]


def test_the_readme_has_every_row_and_every_alert_with_its_severity() -> None:
    readme = (GRAFANA / "README.md").read_text(encoding="utf-8")
    lines = readme.splitlines()
    rows = [panel["title"].partition(":")[0] for panel in panels(rows=True) if panel["type"] == "row"]
    alerts = [f"| `{rule['alert']}` | {rule['labels']['severity']} |" for rule in alert_rules()]

    assert len(rows) == 5
    assert [] == [start for start in (*[f"| {row} |" for row in rows], *alerts) if not _begun(lines, start)]


def _begun(lines: list[str], start: str) -> bool:
    return any(line.startswith(start) for line in lines)


def _place(panel: Any, moved: int) -> tuple[int, ...]:
    place = panel["gridPos"]
    return place["x"] + moved, place["y"], place["w"], place["h"]


def _expressions(panel: Any) -> list[str]:
    return [each["expr"] for each in panel["targets"]]
