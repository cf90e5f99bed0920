import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.releases import World


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI everything is installed, so that a test that is skipped there has not been run anywhere: it fails."""
    report = yield
    if report.skipped and os.environ.get("CI"):
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
