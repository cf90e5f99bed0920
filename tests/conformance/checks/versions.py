"""Base paths: which folders are versions, which versions are wanted, and what a removal does."""

import time

from tests.conformance.expectations import EVENTUALLY_SECONDS
from tests.conformance.facts import Needs, fact
from tests.conformance.models import warm_up_record
from tests.conformance.server import ServerUnderTest


def _next_answer(at: ServerUnderTest, name: str, *, after: int) -> object:
    """The first answer that is not of this version, without a pause between the requests."""
    deadline = time.monotonic() + EVENTUALLY_SECONDS
    while (version := at.answering(name)) == after and time.monotonic() < deadline:
        pass
    return version


def _latest(at: ServerUnderTest, name: str, *versions: int | str) -> None:
    """Serve the highest of these below a base path with the default policy."""
    at.folder.add(name, *versions)
    at.deploy(at.folder.model(name))
    highest = max(map(int, versions))
    at.eventually(highest, lambda: at.answering(name))


@fact(
    "version-names",
    "a version is a folder whose name is a number; leading zeros and a sign are accepted, other names are ignored",
    relied="latest roll-out; reports of what a server sees below a base path",
    needs=Needs.FILES,
)
def _names(at: ServerUnderTest) -> None:
    at.folder.add("named", "00000123", "+5", "0")
    for name in ("v1", "1.tmp", "1_0", ".7", "9223372036854775808"):
        (at.folder.here / "named" / name).mkdir()
    model = at.folder.model("named")
    model.model_version_policy.all.SetInParent()
    at.deploy(model)
    at.eventually([(version, "AVAILABLE") for version in (123, 5, 0)], lambda: at.states("named"))
    at.stays(3, lambda: len(at.states("named")))


@fact(
    "version-plain-file",
    "a plain file whose name is a number counts as a version, which fails to load",
    relied="latest roll-out: nothing else is written below a base path",
    needs=Needs.FILES,
)
def _plain_file(at: ServerUnderTest) -> None:
    _latest(at, "filed", 1)
    at.folder.write("filed/5", "a file")
    at.eventually([(5, "FAILED"), (1, "AVAILABLE")], lambda: at.states("filed"))


@fact(
    "version-policies",
    "the default policy takes the highest version, `latest` with a number takes so many, `specific` those it names",
    relied="both roll-outs",
    needs=Needs.FILES,
)
def _policies(at: ServerUnderTest) -> None:
    _latest(at, "policies", 1, 2, 3)
    at.expect([(3, "AVAILABLE")], at.states("policies"))
    two = at.folder.model("policies")
    two.model_version_policy.latest.num_versions = 2
    at.deploy(two)
    at.eventually([(3, "AVAILABLE"), (2, "AVAILABLE")], lambda: at.states("policies"))
    at.deploy(at.folder.model("policies", versions=[1, 3]))
    at.eventually([(3, "AVAILABLE"), (2, "END"), (1, "AVAILABLE")], lambda: at.states("policies"))


@fact(
    "version-missing-is-skipped",
    "a version that a `specific` policy names and that is not on storage is skipped, and loaded when it appears",
    relied="pinned roll-out",
    needs=Needs.FILES,
)
def _missing(at: ServerUnderTest) -> None:
    at.serve("skipping", 1)
    at.deploy(at.folder.model("skipping", versions=[1, 2]))
    at.stays([(1, "AVAILABLE")], lambda: at.states("skipping"))
    at.folder.add("skipping", 2)
    at.eventually([(2, "AVAILABLE"), (1, "AVAILABLE")], lambda: at.states("skipping"))


@fact(
    "version-all-missing-unloads",
    "a `specific` policy whose versions are all missing unloads everything",
    relied="verbs write a config after its versions are complete",
    needs=Needs.FILES,
)
def _all_missing(at: ServerUnderTest) -> None:
    at.serve("vanished", 1, 2)
    at.deploy(at.folder.model("vanished", versions=[8, 9]))
    at.eventually([(2, "END"), (1, "END")], lambda: at.states("vanished"))


@fact(
    "version-empty-base-path-unloads",
    "a base path that has become empty unloads everything",
    relied="latest roll-out: the base path is never empty",
    needs=Needs.FILES,
)
def _empty_base_path(at: ServerUnderTest) -> None:
    _latest(at, "emptied", 1)
    at.folder.remove("emptied", 1)
    at.eventually([(1, "END")], lambda: at.states("emptied"))


@fact(
    "version-lost-base-path-stops-all",
    "a base path that is missing unloads nothing, but stops new versions of every model on the server",
    relied="a server belongs to one fleet",
    needs=Needs.FILES,
)
def _lost_base_path(at: ServerUnderTest) -> None:
    for name in ("lost", "beside"):
        at.folder.add(name, 1)
    at.deploy(at.folder.model("lost"), at.folder.model("beside"))
    at.eventually((1, 1), lambda: (at.answering("lost"), at.answering("beside")))
    base = at.folder.here / "lost"
    base.rename(base.with_name("lost-elsewhere"))
    # A poll that had listed the folder already may still take the other model up.
    at.stays((1, 1), lambda: (at.answering("lost"), at.answering("beside")))
    at.folder.add("beside", 2)
    at.stays((1, 1), lambda: (at.answering("lost"), at.answering("beside")))
    base.with_name("lost-elsewhere").rename(base)
    at.eventually((1, 2), lambda: (at.answering("lost"), at.answering("beside")))


@fact(
    "version-swap-has-no-gap",
    "under `latest` the old version answers until the new one is loaded; then it is unloaded",
    relied="latest roll-out",
    needs=Needs.FILES,
)
def _no_gap(at: ServerUnderTest) -> None:
    _latest(at, "swapped", 1)
    with at.folder.gate("swapped.gate") as gate:
        at.folder.add("swapped", 2, warm_up=[warm_up_record("gate", path=gate.path)])
        gate.wait_until_reached()
        at.expect(([(2, "LOADING"), (1, "AVAILABLE")], 1), (at.states("swapped"), at.answering("swapped")))
    at.expect(2, _next_answer(at, "swapped", after=1), "the first other answer")
    at.eventually([(2, "AVAILABLE"), (1, "END")], lambda: at.states("swapped"))


@fact(
    "version-lower-again",
    "under `latest`, if the highest version is removed after its swap, the one below is loaded again without a gap",
    relied="latest roll-out: roll back",
    needs=Needs.FILES,
)
def _lower_again(at: ServerUnderTest) -> None:
    _latest(at, "lower", 1)
    at.folder.add("lower", 2)
    at.eventually([(2, "AVAILABLE"), (1, "END")], lambda: at.states("lower"))
    at.folder.remove("lower", 2)
    at.expect(1, _next_answer(at, "lower", after=2), "the first other answer")
    at.eventually([(2, "END"), (1, "AVAILABLE")], lambda: at.states("lower"))


@fact(
    "version-removed-during-load",
    "under `latest`, if a version is removed while it loads, the load may still end well, and then it is served until "
    "the one below is loaded again",
    relied="latest roll-out: `saved_model.pb` is removed first, and the removal is waited for",
    needs=Needs.FILES,
)
def _removed_during_load(at: ServerUnderTest) -> None:
    _latest(at, "raced", 1)
    with at.folder.gate("raced.gate") as gate:
        at.folder.add("raced", 2, warm_up=[warm_up_record("gate", path=gate.path)])
        gate.wait_until_reached()
        at.folder.remove("raced", 2)
        at.stays(([(2, "LOADING"), (1, "AVAILABLE")]), lambda: at.states("raced"))
    at.eventually([(2, "END"), (1, "AVAILABLE")], lambda: at.states("raced"))
    at.expect(1, at.answering("raced"))


@fact(
    "version-overwritten-is-not-noticed",
    "files that are replaced inside a loaded version are not noticed",
    relied="a number is never used again",
    needs=Needs.FILES,
)
def _overwritten(at: ServerUnderTest) -> None:
    _latest(at, "overwritten", 1)
    at.folder.add("other-content", 9)
    content = (at.folder.here / "other-content" / "9" / "saved_model.pb").read_bytes()
    (at.folder.here / "overwritten" / "1" / "saved_model.pb").write_bytes(content)
    at.stays([2.0], lambda: list(at.predict("overwritten").outputs["y"].float_val))


@fact(
    "version-in-flight",
    "a version that is replaced is unloaded when its last request has been answered, and that one is answered well",
    relied="no request fails during a release",
    needs=Needs.FILES,
)
def _in_flight(at: ServerUnderTest) -> None:
    _latest(at, "busy", 1)
    with at.folder.gate("busy.gate") as gate:
        request = at.request("busy", signature="gate", inputs={"path": gate.path})
        pending = at.prediction.Predict.future(request, timeout=60)
        gate.wait_until_reached()
        at.folder.add("busy", 2)
        at.eventually(2, lambda: at.answering("busy"))
        at.stays(True, lambda: at.state("busy", 1) != "END")
    at.expect(1, pending.result().model_spec.version.value)
    at.eventually("END", lambda: at.state("busy", 1))
