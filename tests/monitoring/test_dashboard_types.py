"""The dashboard has the types that Grafana publishes, in the package `@grafana/schema`.

A value that Grafana does not know is not an error there: it is ignored, and the panel looks wrong.
"""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.hunts import hunt
from tests.monitoring.files import dashboard, panels

SCHEMA = Path(__file__).parent / "grafana_schema"
COMPILER = SCHEMA / "node_modules" / ".bin" / "tsc"
# Faults as one makes them by hand, by the name of the file that gets them.
FAULTS: dict[str, Callable[[Any], object]] = {
    "misspelt_option": lambda found: _options(found, "timeseries").update(legends={}),
    "missing_option": lambda found: _options(found, "stat").pop("graphMode"),
    "unknown_value": lambda found: _options(found, "state-timeline").update(showValue="sometimes"),
    "unknown_panel": lambda found: found["panels"][1].update(type="timeline"),
    "refresh_of_a_variable": lambda found: found["templating"]["list"][1].update(refresh="onLoad"),
    "query_without_expression": lambda found: found["panels"][1]["targets"][0].pop("expr"),
}

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not COMPILER.exists(),
    reason="needs Node.js and Grafana's types: `npm ci --ignore-scripts --prefix tests/monitoring/grafana_schema`",
)


def test_the_dashboards_have_grafana_s_types(tmp_path: Path) -> None:
    _write(tmp_path / "dashboard.ts", dashboard())
    _write(tmp_path / "gateway.ts", dashboard("gateway.json"))

    assert [] == _compiled(tmp_path)


@hunt
def test_each_planted_fault_is_found(tmp_path: Path) -> None:
    for name, damage in FAULTS.items():
        damaged = dashboard()
        damage(damaged)
        _write(tmp_path / f"{name}.ts", damaged)

    assert {f"{name}.ts" for name in FAULTS} == {each.partition("(")[0] for each in _compiled(tmp_path)}


def test_the_types_know_every_kind_of_panel() -> None:
    known = (SCHEMA / "checked.ts").read_text(encoding="utf-8")

    assert [] == [panel["type"] for panel in panels() if f'Panel<"{panel["type"]}"' not in known]


def _options(found: Any, kind: str) -> Any:
    return next(each for each in found["panels"] if each["type"] == kind)["options"]


def _write(file: Path, found: Any) -> None:
    """As an object in the source, because TypeScript checks for superfluous keys only there."""
    file.write_text(
        f'import type {{ Checked }} from "./checked";\nexport const found: Checked = {json.dumps(found, indent=1)};\n'
    )


def _compiled(folder: Path) -> list[str]:
    """What the compiler says about the files of the folder, each error with its file first."""
    (folder / "node_modules").symlink_to(SCHEMA / "node_modules")
    for name in ("checked.ts", "tsconfig.json"):
        shutil.copy(SCHEMA / name, folder)
    done = subprocess.run(
        [COMPILER, "--project", folder], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    return [line for line in done.stdout.splitlines() if not line.startswith(" ")]
