import pytest

from tests.dags.conftest import run_script


def test_reading_the_dags_loads_nothing_heavy(environment: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Every worker and the DAG processor read these files again and again, on machines without TensorFlow too."""
    parsed = run_script("parse.py", environment=environment)

    with capsys.disabled():
        base, ours = parsed["base_seconds"], parsed["dags_seconds"]
        print(f"\n[DAG files: {ours:.2f} s on top of {base:.2f} s for Airflow itself, {ours / base:.0%}]")  # noqa: T201
    assert parsed["heavy"] == parsed["heavy_by_airflow"]
    names = ("broken", "digits", "letters", "my_cats___dogs")
    of_models = [f"{kind}_{name}" for kind in ("retrain", "retain") for name in names]
    by_hand = ["freeze", "pin", "readmit", "reconcile", "rollback", "unfreeze"]
    assert sorted([*of_models, *by_hand, "announce"]) == parsed["dags"]
