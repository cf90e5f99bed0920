"""Every fact on the embedded server: it holds there, or differs as docs/model-server.md says.

So each check is known to run to its end. `make test` runs those that only ask, on one server; `make prove` all of them.
"""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conformance import expectations
from tests.conformance.embedded import COMMAND, DIFFERENCES
from tests.conformance.facts import FACTS, Fact, Needs
from tests.conformance.running import Outcome, Targets, chosen, results, targets
from tests.hunts import hunt

_QUICK = (Needs.REQUESTS, Needs.REST)


@contextmanager
def _embedded(folder: Path, command: str = COMMAND) -> Iterator[Targets]:
    with targets(folder=folder, there=str(folder), command=command) as found:
        yield found


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Targets]:
    with _embedded(tmp_path_factory.mktemp("conformance")) as found:
        yield found


@pytest.mark.parametrize(
    "fact",
    [pytest.param(each, id=each.id, marks=[] if each.needs in _QUICK else [hunt]) for each in chosen(())],
)
def test_a_fact_holds_or_differs_as_declared(embedded: Targets, fact: Fact) -> None:
    (result,) = results(embedded, [fact], declared=DIFFERENCES)

    expected = Outcome.DECLARED if fact.id in DIFFERENCES else Outcome.HOLDS
    assert expected == result.outcome, result.reason


@pytest.mark.parametrize(
    ("flag", "names"),
    [
        ("--enable_serialization_as_tensor_content", ["predict-typed-values"]),
        ("--enable_grpc_healthcheck_service", ["grpc-health-off"]),
        ("--monitoring_config_file=", ["metrics-page", "metrics-requests", "metrics-loads", "metrics-latency"]),
        ("--enable_model_warmup=false", ["warm-up-failure-fails-the-load", "warm-up-notices-missing-variables"]),
        ("--allow_version_labels_for_unavailable_models=false", ["label-before-version"]),
        ("--model_config_file_poll_wait_seconds=0", ["config-requested-lasts-one-poll", "label-moves-without-load"]),
        ("--num_load_threads=2", ["load-one-after-the-other"]),
        ("--file_system_poll_wait_seconds=0", ["version-missing-is-skipped"]),
    ],
)
@hunt
def test_a_server_that_behaves_otherwise_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flag: str, names: list[str]
) -> None:
    """The checks can fail: here one flag of the embedded server is another than the facts are about."""
    # What never happens need not be waited for as long as what happens late.
    monkeypatch.setattr(expectations, "EVENTUALLY_SECONDS", 4.0)
    command = shlex.join(["sh", "-c", f'exec {COMMAND} "$@" {flag}', "sh"])
    with _embedded(tmp_path, command) as found:
        outcomes = {name: found.result(FACTS[name]).outcome for name in names}

    assert dict.fromkeys(names, Outcome.DIFFERS) == outcomes
