import re
from pathlib import Path

from embedded.environment import stack_environment
from embedded.procfile import PROCFILE, entries
from embedded.settings import StackSettings


def test_the_replica_line_is_started_once_per_port(settings: StackSettings, tmp_path: Path) -> None:
    procfile = tmp_path / "Procfile"
    procfile.write_text('# a comment: not a process\nweb: run web\nreplica: serve --port="$PORT"\n', encoding="utf-8")

    found = entries(settings, procfile)

    assert [(entry.name, entry.extra) for entry in found] == [
        ("web", {}),
        ("replica-1", {"PORT": "8500", "REST_PORT": "8501"}),
        ("replica-2", {"PORT": "8510", "REST_PORT": "8511"}),
    ]


def test_every_variable_of_the_procfile_is_set_and_quoted(settings: StackSettings) -> None:
    """An unset one would become an empty word, an unquoted one would fall apart at a space in the folder's name."""
    environment = stack_environment(settings) | {"PORT": "8500", "REST_PORT": "8501"}
    for entry in entries(settings):
        for name in re.findall(r"\$([A-Z_]+)", entry.command):
            assert name in environment, entry.name
        quoted = "".join(re.findall(r'"[^"]*"', entry.command))
        assert re.findall(r"\$[A-Z_]+", entry.command) == re.findall(r"\$[A-Z_]+", quoted), entry.name


def test_nothing_is_told_to_listen_on_other_addresses() -> None:
    content = PROCFILE.read_text(encoding="utf-8")

    assert "0.0.0.0" not in content  # noqa: S104 - that is the point
    for component in ("scheduler", "triggerer"):
        assert f"airflow {component} --skip-serve-logs" in content
