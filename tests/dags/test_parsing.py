from typing import Any

import pytest

from tests.dags.conftest import run_script

OF_MODELS = [
    f"{kind}_{name}" for kind in ("retrain", "retain") for name in ("broken", "digits", "letters", "my_cats___dogs")
]


@pytest.fixture(scope="module")
def parsed(environment: dict[str, str]) -> Any:
    return run_script("parse.py", environment=environment)


def test_reading_the_dags_loads_nothing_heavy(parsed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Every worker and the DAG processor read these files again and again, on machines without TensorFlow too."""
    with capsys.disabled():
        base, ours = parsed["base_seconds"], parsed["dags_seconds"]
        print(f"\n[DAG files: {ours:.2f} s on top of {base:.2f} s for Airflow itself, {ours / base:.0%}]")  # noqa: T201
    assert parsed["heavy"] == parsed["heavy_by_airflow"]
    by_hand = ["freeze", "pin", "readmit", "reconcile", "rollback", "unfreeze"]
    assert sorted([*OF_MODELS, *by_hand, "announce"]) == parsed["dags"]


def test_before_a_task_only_the_dag_of_that_task_is_made(parsed: Any) -> None:
    """A worker waits for it, and each model takes milliseconds; that of a broken file must say why it fails, too."""
    expected = {dag_id: [dag_id] for dag_id in OF_MODELS} | {"retrain_unknown": [], "rollback": []}

    assert expected == parsed["for_a_task"]
