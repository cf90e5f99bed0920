import os
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.releases import World

# Not that of the person who runs the tests. Kept from session to session, as decoded images are.
os.environ.setdefault("UNDERSTUDY_CACHE", str(Path(tempfile.gettempdir()) / f"understudy-test-cache-{os.getuid()}"))

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _failed_if_skipped_in_ci((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _failed_if_skipped_in_ci((yield))


def _failed_if_skipped_in_ci(report: Report) -> Report:
    """In CI everything is installed, so that a test that is skipped there is not run anywhere: it fails."""
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI"):
        reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"{report.nodeid} is skipped, and nothing is in CI: {reason}"
    return report


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """A bucket and two replicas that poll it: of the pinned roll-out, unless a test is for both (`over_both`)."""
    made = World(tmp_path, rollout=getattr(request, "param", "pinned"))
    made.start()
    yield made
    made.stop()
