"""Runs checks and says how each ended."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import grpc
import httpx

from tests.conformance import checks  # noqa: F401 - importing it registers the facts
from tests.conformance.facts import FACTS, Differs, Fact, Needs, NotRunError
from tests.conformance.launcher import Launcher
from tests.conformance.server import ASKED, Folder, ServerUnderTest, refusal


class Outcome(StrEnum):
    HOLDS = "holds"
    DIFFERS = "differs"
    DECLARED = "differs as declared"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Result:
    """How the check of one fact ended; the reason is empty where it holds."""

    fact: Fact
    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True)
class Targets:
    """What there is to check on: a server that runs, and a way to start others; each may be missing."""

    server: ServerUnderTest | None
    launcher: Launcher | None

    def result(self, fact: Fact) -> Result:
        """Run the check of this fact."""
        target = self.launcher if fact.needs is Needs.OWN else self.server
        over_rest = fact.needs in (Needs.REST, Needs.FILES_AND_REST)
        if target is None or (over_rest and self.server is not None and not self.server.rest):
            return Result(fact, Outcome.NOT_RUN, f"needs {_missing(fact.needs)}")
        before = target.comparisons
        try:
            if self.server is not None and fact.needs in (Needs.REQUESTS, Needs.REST):
                self.server.serve_asked()
            fact.check(target)
        except Differs as difference:
            return Result(fact, Outcome.DIFFERS, str(difference).removeprefix(": "))
        except NotRunError as error:
            return Result(fact, Outcome.NOT_RUN, str(error))
        except (grpc.RpcError, httpx.HTTPError) as error:
            return Result(fact, Outcome.DIFFERS, f"a request failed that should not: {_short(error)}")
        if target.comparisons == before:
            raise AssertionError(f"the check of {fact.id} compares nothing; let it expect something")
        return Result(fact, Outcome.HOLDS)


def _missing(needs: Needs) -> str:
    return {
        Needs.OWN: "servers of its own: COMMAND=...",
        Needs.REST: "the REST address: REST=host:port",
        Needs.FILES_AND_REST: "the REST address: REST=host:port",
    }.get(needs, "a running server: SERVER=host:port")


def _short(error: Exception) -> str:
    if isinstance(error, grpc.RpcError):
        return f"{error.code().name}: {error.details()}"
    return f"{type(error).__name__}: {error}"


def chosen(only: Collection[str]) -> list[Fact]:
    """The facts of these names, or all; in the order of what they need, those that share a model first."""
    order = list(Needs)
    facts = [fact for fact in FACTS.values() if not only or fact.id in only]
    return sorted(facts, key=lambda fact: order.index(fact.needs))


def results(targets: Targets, facts: Iterable[Fact], *, declared: Collection[str] = ()) -> Iterator[Result]:
    """Run the checks; a difference that is declared is no failure, and one that is declared and not there is one."""
    for fact in facts:
        result = targets.result(fact)
        if fact.id in declared:
            result = _as_declared(result)
        yield result


def _as_declared(result: Result) -> Result:
    match result.outcome:
        case Outcome.DIFFERS:
            return Result(result.fact, Outcome.DECLARED, result.reason)
        case Outcome.HOLDS:
            words = "it is declared to differ, and holds: take it out of tests/conformance/embedded.py and the docs"
            return Result(result.fact, Outcome.DIFFERS, words)
    return result


def connect(address: str, rest: str | None, folder: Folder) -> ServerUnderTest:
    """A server that runs and answers. Raises NotRunError if it does not."""
    server = ServerUnderTest(address, rest, folder)
    answer = refusal(lambda: server.status("nobody"))
    if not answer.startswith("NOT_FOUND"):
        server.close()
        raise NotRunError(
            f"no model server answers at {address}: {answer}. Nothing was checked. "
            "Start one with the command that `make conformance` prints."
        )
    if server.states(ASKED):
        server.close()
        raise NotRunError(
            f"the server at {address} was checked before, and remembers the models of that run. Nothing was checked. "
            "Start it again."
        )
    return server


@contextmanager
def targets(*, folder: Path, there: str, server: str = "", rest: str = "", command: str = "") -> Iterator[Targets]:
    """What these addresses and this command give; with a command alone, a server with the standard flags is started.

    Raises NotRunError: the server does not answer, or does not start.
    """
    shared, own = (Folder(folder / name, f"{there}/{name}") for name in ("server", "own"))
    shared.prepare()
    own.prepare()
    launcher = Launcher(command, own) if command else None
    if server:
        at = connect(server, rest or None, shared)
        try:
            yield Targets(at, launcher)
        finally:
            at.close()
        return
    assert launcher is not None
    with Launcher(command, shared).standard() as started:
        yield Targets(started, launcher)
