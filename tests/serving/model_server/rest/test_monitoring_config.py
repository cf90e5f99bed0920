from pathlib import Path

import pytest

from serving.model_server.rest.monitoring_config import DEFAULT_PATH, metrics_path
from serving.status import InvalidArgumentError, StatusError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("prometheus_config { enable: true }", DEFAULT_PATH),
        ('prometheus_config: { enable: true, path: "/metrics" }', "/metrics"),
        ('prometheus_config { enable: false path: "/metrics" }', None),
        ('prometheus_config { path: "/metrics" }', None),
        ("", None),
    ],
)
def test_metrics_are_where_the_config_says(tmp_path: Path, text: str, expected: str | None) -> None:
    file = tmp_path / "monitoring.config"
    file.write_text(text)

    assert metrics_path(str(file)) == expected


def test_a_config_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "monitoring.config"
    with pytest.raises(StatusError, match="NOT_FOUND"):
        metrics_path(str(file))
    file.write_text("prometheus { on: yes }")
    told = r"Error parsing text-format tensorflow\.serving\.MonitoringConfig: 1:"
    with pytest.raises(InvalidArgumentError, match=told):
        metrics_path(str(file))
