"""What a model file costs Airflow: DAGs, CPU time of parsing, bytes in its database."""

import tempfile
from pathlib import Path

from bench.scale.measuring import Usage, show, usage

PROJECT = Path(__file__).parents[2]


def write_models(folder: Path, count: int) -> None:
    text = (PROJECT / "models" / "digits.yaml").read_text(encoding="utf-8")
    for number in range(count):
        content = text.replace("name: digits", f"name: model_{number:04d}")
        (folder / f"model_{number:04d}.yaml").write_text(content, encoding="utf-8")


def parsed(count: int) -> Usage:
    """Parse with so many model files, in an Airflow home that is deleted afterwards."""
    with tempfile.TemporaryDirectory() as home:
        models = Path(home) / "models"
        models.mkdir()
        write_models(models, count)
        env = {
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "600",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            "UNDERSTUDY_MODELS": str(models),
        }
        return usage("bench.scale.parsing", env=env)


def report(counts: list[int]) -> None:
    for count in counts:
        used = parsed(count)
        for name, each in used.found.items():
            show(f"{count} models: {name}: CPU of one parse", each["seconds"], "s")
            show(f"{count} models: {name}: DAGs", each["dags"], "")
            show(f"{count} models: {name}: tasks", each["tasks"], "")
            show(f"{count} models: {name}: serialized, in Airflow's database", each["bytes"] / 1e6, "MB")
        show(f"{count} models: peak memory of the process that parses all of them", used.peak_mb, "MB")
