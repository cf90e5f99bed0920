"""docs/profiling.md says what the code does."""

import re
from pathlib import Path

from typer.main import get_command

from pipeline.cli import app
from pipeline.profiling.choice import Parameters
from pipeline.profiling.load import MOST_UNDER_WAY
from pipeline.profiling.measurement import LATE_SECONDS
from pipeline.profiling.plan import SHARES

PAGE = (Path(__file__).parents[3] / "docs" / "profiling.md").read_text(encoding="utf-8")


def test_the_page_names_each_option_and_no_other() -> None:
    options = {
        name
        for parameter in get_command(app).commands["profile"].params  # type: ignore[attr-defined]
        for name in parameter.opts
    } - {"--model", "--help"}
    of_servers = {"--batching_parameters_file", "--enable_batching"}

    assert options | of_servers | {"--model"} == set(re.findall(r"--[a-z][a-z_-]+", PAGE))


def test_the_page_names_each_parameter() -> None:
    assert [] == [name for name in Parameters.__dataclass_fields__ if f"`{name}`" not in PAGE]


def test_the_page_has_the_limits_of_the_code() -> None:
    shares = ", ".join(f"{share:.0%}".rstrip("%") for share in SHARES[:-1])

    assert f"{shares} and {SHARES[-1]:.0%}".replace("%", " %") in PAGE
    assert f"more than {LATE_SECONDS * 1000:g} ms late" in PAGE
    assert f"At most {MOST_UNDER_WAY:,} requests" in PAGE
