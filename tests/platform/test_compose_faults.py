"""The processes that tests/platform/test_compose.py starts notice a wrong flag or variable in docker-compose.yaml."""

import json
import tempfile
from pathlib import Path

import pytest

from tests.platform.compose_file import ALL_ADDRESSES, Checkout
from tests.platform.container import ServiceError
from tests.platform.platform_processes import Platform

pytestmark = pytest.mark.platform

# The service; what is right, what is written instead, and what the program says to it.
FAULTS = [
    ("prometheus", "--storage.tsdb.path=", "--storage.tsdb.paths=", "unknown long flag"),
    ("mlflow", "--serve-artifacts", "--serve-artefacts", "No such option"),
    ("airflow-scheduler", "--skip-serve-logs", "--skip-server-logs", "unrecognized arguments"),
    ("airflow-api-server", "ONCALL_PASSWORD", "ON_CALL_PASSWORD", "KeyError: 'ONCALL_PASSWORD'"),
    ("serving-2", "MODEL_CONFIG", "MODEL_CONFIGS", "neither MODEL_CONFIG nor MODEL_PATH is set"),
    ("serving-2", "/bucket/serve/", "/bucket/served/", "does not exist"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault[0]} {fault[2]}")
def test_a_wrong_flag_or_variable_fails(folder: Path, checkout: Checkout, fault: tuple[str, str, str, str]) -> None:
    service, right, wrong, problem = fault
    resolved = dict(checkout.resolved(COMPOSE_PROFILES=ALL_ADDRESSES))
    text = json.dumps(resolved["services"][service])
    assert right in text
    changed = resolved | {"services": resolved["services"] | {service: json.loads(text.replace(right, wrong))}}
    platform = Platform(changed, Path(tempfile.mkdtemp(dir=folder)))

    try:
        with pytest.raises(ServiceError, match="ended with") as error:
            platform.start(service)
    finally:
        platform.kill()

    assert problem in str(error.value)
