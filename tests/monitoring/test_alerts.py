"""Prometheus' configuration and alerts: checked and tried by promtool, and the commands that they name exist."""

import re
import shlex
from typing import Any

import pytest
from typer.main import get_command

from pipeline.cli import app
from tests.monitoring.files import ALERTS, CONFIG, PROMETHEUS, alert_rules, read_yaml
from tests.monitoring.tools import needs_prometheus, promtool

RULES = {rule["alert"]: rule for rule in alert_rules()}
TESTS = PROMETHEUS / "alerts_test.yaml"
VERB = "docker compose run --rm understudy "


@needs_prometheus
def test_the_configuration_and_its_rules_are_valid() -> None:
    promtool("check", "config", CONFIG)
    promtool("check", "rules", "--lint-fatal", ALERTS)


@needs_prometheus
def test_alerts_fire_when_they_must_and_not_before() -> None:
    """By the stories in `alerts_test.yaml`."""
    promtool("test", "rules", TESTS)


def test_each_alert_has_a_moment_when_it_fires_and_one_when_it_must_not() -> None:
    cases = [case for story in read_yaml(TESTS)["tests"] for case in story["alert_rule_test"]]

    assert {(name, fires) for name in RULES for fires in (False, True)} == {
        (case["alertname"], bool(case["exp_alerts"])) for case in cases
    }


def test_each_alert_says_what_it_is_how_urgent_it_is_and_which_command_is_next() -> None:
    assert [] == [
        name
        for name, rule in RULES.items()
        if not rule["annotations"]["summary"]
        or rule["labels"]["severity"] not in {"page", "ticket"}
        or not _commands(rule)
    ]


def test_commands_of_alerts_are_for_services_and_verbs_that_exist() -> None:
    """`docker compose run --rm understudy VERB` is parsed by the command itself."""
    instances = {each["labels"]["instance"] for each in _serving()["static_configs"]}
    verbs, others = [], set()
    for command in (each for rule in RULES.values() for each in _commands(rule)):
        if command.startswith(VERB):
            verbs.append(shlex.split(command.removeprefix(VERB)))
        else:
            others.add(command)

    for verb, *words in verbs:
        get_command(app).commands[verb].make_context(verb, words)  # type: ignore[attr-defined]
    assert {"status", "freeze", "rollback"} == {verb for verb, *_ in verbs}
    assert "serving-1" in instances
    assert {
        "docker compose ps --all",
        "docker compose logs --tail 100 serving-1",
        "docker compose up --detach serving-1",
        "docker compose logs --tail 100 gateway",
        "docker compose up --detach gateway",
    } == others


def test_the_first_ring_is_one_of_three_replicas() -> None:
    found = {each["targets"][0]: each["labels"] for each in _serving()["static_configs"]}

    assert {
        "serving-1:8501": {"instance": "serving-1", "ring": "first"},
        "serving-2:8501": {"instance": "serving-2", "ring": "rest"},
        "serving-3:8501": {"instance": "serving-3", "ring": "rest"},
    } == found


@pytest.mark.parametrize("name", RULES)
def test_alerts_keep_the_labels_that_their_texts_show(name: str) -> None:
    """Prometheus writes nothing in place of a label that an expression has aggregated away."""
    rule = RULES[name]
    shown = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
    aggregated = re.search(r"sum by \(([^)]*)\)", rule["expr"])

    assert set() == shown - set(aggregated[1].split(", ") if aggregated else ["job", "instance", "ring"])


def _commands(rule: Any) -> list[str]:
    text = re.sub(r"\{\{ \$labels\.model(_name)? \}\}", "digits", rule["annotations"]["description"])
    return re.findall(r"`([^`]+)`", re.sub(r"\{\{ \$labels\.instance \}\}", "serving-1", text))


def _serving() -> Any:
    return next(each for each in read_yaml(CONFIG)["scrape_configs"] if each["job_name"] == "serving")
