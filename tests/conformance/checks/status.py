"""GetModelStatus: the states of versions, also those that are gone."""

from tests.conformance.facts import Needs, fact
from tests.conformance.models import warm_up_record
from tests.conformance.server import ASKED, ServerUnderTest


@fact(
    "status-order",
    "the status of a model lists its versions from the highest to the lowest, whatever label the request names",
    relied="status",
    needs=Needs.REQUESTS,
)
def _order(at: ServerUnderTest) -> None:
    at.expect([2, 1], [each.version for each in at.status(ASKED)])
    at.expect([2, 1], [each.version for each in at.status(ASKED, label="stable")])
    at.expect([1], [each.version for each in at.status(ASKED, 1)])


@fact(
    "status-remembers",
    "a version that was unloaded stays in the list as END, without an error",
    relied="canary, repair of a stuck replica",
    needs=Needs.FILES,
)
def _remembers(at: ServerUnderTest) -> None:
    at.serve("remembered", 1, 2)
    at.deploy(at.folder.model("remembered", versions=[2]))
    at.eventually([(2, "AVAILABLE"), (1, "END")], lambda: at.states("remembered"))
    at.deploy()
    at.eventually([(2, "END"), (1, "END")], lambda: at.states("remembered"))


@fact(
    "status-of-a-load",
    "a version that loads is LOADING, requests for it are NOT_FOUND, and the version before answers",
    relied="canary: a slow load is waited for",
    needs=Needs.FILES,
)
def _loading(at: ServerUnderTest) -> None:
    at.serve("slow", 1)
    with at.folder.gate("slow.gate") as gate:
        at.folder.add("slow", 2, warm_up=[warm_up_record("gate", path=gate.path)])
        at.deploy(at.folder.model("slow", versions=[1, 2]))
        gate.wait_until_reached()
        at.expect([(2, "LOADING"), (1, "AVAILABLE")], at.states("slow"))
        at.expect("NOT_FOUND", at.answering("slow", version=2))
        at.expect(1, at.answering("slow"))
        gate.open()
        at.eventually([(2, "AVAILABLE"), (1, "AVAILABLE")], lambda: at.states("slow"))
