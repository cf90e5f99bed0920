"""Labels: where a config may put one, and what a refused config leaves behind."""

from tests.conformance.facts import Needs, fact
from tests.conformance.server import STABLE, ServerUnderTest, config, refusal


def _assign(version: int, model: str) -> str:
    return (
        f"FAILED_PRECONDITION: Request to assign label to version {version} of model {model}, "
        "which is not currently available for inference"
    )


@fact(
    "label-moves-without-load",
    "a config moves a label between two loaded versions at the next poll, and loads nothing",
    relied="pinned roll-out: promote, roll back",
    needs=Needs.FILES,
)
def _moves(at: ServerUnderTest) -> None:
    at.serve("moving", 1, 2, stable=1)
    at.expect(1, at.answering("moving", label=STABLE))
    at.write_config(at.folder.model("moving", versions=[1, 2], stable=2))
    at.eventually(2, lambda: at.answering("moving", label=STABLE))
    at.expect([(2, "AVAILABLE"), (1, "AVAILABLE")], at.states("moving"))


@fact(
    "label-dark-load",
    "a config that adds a version and leaves the label loads it beside the old one; the label still answers from that",
    relied="pinned roll-out: expose",
    needs=Needs.FILES,
)
def _dark_load(at: ServerUnderTest) -> None:
    at.serve("dark", 1, 2, stable=2)
    at.folder.add("dark", 3)
    at.write_config(at.folder.model("dark", versions=[2, 3], stable=2))
    at.eventually([(3, "AVAILABLE"), (2, "AVAILABLE"), (1, "END")], lambda: at.states("dark"))
    at.expect((2, 3), (at.answering("dark", label=STABLE), at.answering("dark")))


@fact(
    "label-with-new-version-refused",
    "a config that adds a version and moves the label to it is refused at every poll, and the version is not loaded",
    relied="pinned roll-out: a replica that was down is repaired",
    needs=Needs.FILES,
)
def _with_new_version(at: ServerUnderTest) -> None:
    at.serve("stuck", 1, 2, stable=2)
    at.folder.add("stuck", 3)
    new = at.folder.model("stuck", versions=[2, 3], stable=3)
    at.expect(_assign(3, "stuck"), refusal(lambda: at.request_config(config(new))))
    at.write_config(new)
    at.stays(
        (2, [(2, "AVAILABLE"), (1, "AVAILABLE")]),
        lambda: (at.answering("stuck", label=STABLE), at.states("stuck")),
    )


@fact(
    "label-repair",
    "a reload request with both versions and the label where it points loads the new one; then the config in the file "
    "is accepted",
    relied="repair of a stuck replica",
    needs=Needs.FILES,
)
def _repair(at: ServerUnderTest) -> None:
    at.serve("repaired", 1, 2, stable=2)
    at.folder.add("repaired", 3)
    at.write_config(at.folder.model("repaired", versions=[2, 3], stable=3))
    at.stays(2, lambda: at.answering("repaired", label=STABLE))
    at.request_config(config(at.folder.model("repaired", versions=[2, 3], stable=2)))
    at.eventually(3, lambda: at.answering("repaired", label=STABLE))
    at.eventually([(3, "AVAILABLE"), (2, "AVAILABLE"), (1, "END")], lambda: at.states("repaired"))


@fact(
    "label-before-version",
    "with --allow_version_labels_for_unavailable_models a label that points nowhere else may name a version that is "
    "not loaded; it is NOT_FOUND until then",
    relied="pinned roll-out: a replica starts with labels in its config",
    needs=Needs.FILES,
)
def _before_version(at: ServerUnderTest) -> None:
    at.serve("early", 1)
    at.request_config(config(at.folder.model("early", versions=[1, 2], early=2)))
    at.write_config(at.folder.model("early", versions=[1, 2], early=2))
    at.expect("NOT_FOUND", at.answering("early", label="early"))
    at.folder.add("early", 2)
    at.eventually(2, lambda: at.answering("early", label="early"))


@fact(
    "label-left-out",
    "a label that the next config leaves out is unknown",
    relied="pinned roll-out",
    needs=Needs.FILES,
)
def _left_out(at: ServerUnderTest) -> None:
    at.serve("unlabelled", 1, stable=1)
    at.expect(1, at.answering("unlabelled", label=STABLE))
    at.deploy(at.folder.model("unlabelled", versions=[1]))
    at.expect("INVALID_ARGUMENT", at.answering("unlabelled", label=STABLE))


@fact(
    "label-of-unloaded-version",
    "the label of a version that has left the storage is NOT_FOUND",
    relied="client",
    needs=Needs.FILES,
)
def _of_unloaded(at: ServerUnderTest) -> None:
    at.serve("left", 1, 2, stable=2)
    at.folder.remove("left", 2)
    at.eventually([(2, "END"), (1, "AVAILABLE")], lambda: at.states("left"))
    at.expect("NOT_FOUND", at.answering("left", label=STABLE))


@fact(
    "label-none-under-latest",
    "a model of the policy `latest` has no label unless its config gives it one",
    relied="latest roll-out: clients name no label, probes neither",
    needs=Needs.FILES,
)
def _none_under_latest(at: ServerUnderTest) -> None:
    at.folder.add("plain", 1)
    at.deploy(at.folder.model("plain"))
    at.eventually(1, lambda: at.answering("plain"))
    at.expect("INVALID_ARGUMENT", at.answering("plain", label=STABLE))
