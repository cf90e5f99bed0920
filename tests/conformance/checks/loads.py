"""Loads that fail, repeat or hang."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serving.apis import saved_model_pb2
from tests.conformance.facts import Needs, fact
from tests.conformance.launcher import Launcher
from tests.conformance.models import warm_up_record
from tests.conformance.server import Folder, ServerUnderTest


def _without_graph(folder: Path) -> None:
    (folder / "saved_model.pb").unlink()


def _complete(folder: Folder, model: str, version: int) -> None:
    """Bring the graph that `_without_graph` left out."""
    source = f"{model}-complete"
    folder.add(source, version)
    name = "saved_model.pb"
    (folder.here / source / str(version) / name).rename(folder.here / model / str(version) / name)


def fails(at: ServerUnderTest, name: str, change: Callable[[Path], object]) -> str:
    """Let version 2 of a model fail to load, and return its error."""
    at.serve(name, 1)
    at.folder.add(name, 2, change=change)
    at.deploy(at.folder.model(name, versions=[1, 2]))
    at.eventually([(2, "FAILED"), (1, "AVAILABLE")], lambda: at.states(name))
    at.expect(1, at.answering(name), "the old version keeps serving")
    return str(at.status(name, 2)[0].status.error_message)


@fact(
    "load-without-graph",
    "without saved_model.pb the load fails: `Could not find SavedModel .pb or .pbtxt`; the old version keeps serving",
    relied="publish: saved_model.pb comes last",
    needs=Needs.FILES,
)
def _no_graph(at: ServerUnderTest) -> None:
    words = fails(at, "graphless", _without_graph)
    at.expect_in("Could not find SavedModel .pb or .pbtxt at supplied export directory path", words)


@fact(
    "load-without-variables",
    "with saved_model.pb and without the variables the load succeeds, and every prediction is FAILED_PRECONDITION",
    relied="publish: saved_model.pb comes last; the canary never trusts a status",
    needs=Needs.FILES,
)
def _no_variables(at: ServerUnderTest) -> None:
    at.serve("hollow", 1)
    at.folder.add("hollow", 2, change=lambda folder: shutil.rmtree(folder / "variables"))
    at.deploy(at.folder.model("hollow", versions=[1, 2]))
    at.eventually([(2, "AVAILABLE"), (1, "AVAILABLE")], lambda: at.states("hollow"))
    at.expect_in("FAILED_PRECONDITION: Could not find variable", at.answer_of("hollow", version=2))


@fact(
    "load-without-values",
    "with an index and without the file of the values, or with a short one, the load fails",
    relied="publish: files are compared with the manifest",
    needs=Needs.FILES,
)
def _no_values(at: ServerUnderTest) -> None:
    values = "variables/variables.data-00000-of-00001"
    fails(at, "valueless", lambda folder: (folder / values).unlink())
    fails(at, "short", lambda folder: (folder / values).write_bytes(b""))


@fact(
    "load-damaged-graph",
    "with a damaged saved_model.pb the load fails",
    relied="publish: files are compared with the manifest",
    needs=Needs.FILES,
)
def _damaged(at: ServerUnderTest) -> None:
    words = fails(at, "damaged", lambda folder: (folder / "saved_model.pb").write_bytes(b"not a model" * 50))
    at.expect_in("as binary proto", words)


def _edit_graph(folder: Path, change: Callable[[Any], object]) -> None:
    file = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    change(model.meta_graphs[0].graph_def)
    file.write_bytes(model.SerializeToString())


@fact(
    "load-newer-graph",
    "a graph that asks for a newer TensorFlow than the server's does not load",
    relied="evaluate refuses a graph newer than the servers",
    needs=Needs.FILES,
)
def _newer_graph(at: ServerUnderTest) -> None:
    def newer(graph: Any) -> None:
        graph.versions.min_consumer = 1_000_000

    at.expect_in("GraphDef", fails(at, "newer", lambda folder: _edit_graph(folder, newer)))


@fact(
    "load-unknown-operation",
    "a graph with an operation that the server's TensorFlow does not know does not load",
    relied="evaluate refuses operations that no stock TensorFlow knows",
    needs=Needs.FILES,
)
def _unknown_operation(at: ServerUnderTest) -> None:
    def strange(graph: Any) -> None:
        graph.node.add(name="strange", op="OfNoStockTensorFlow")

    at.expect_in("OfNoStockTensorFlow", fails(at, "strange", lambda folder: _edit_graph(folder, strange)))


@fact(
    "load-failed-is-not-repeated",
    "a version that failed is not loaded again while it is wanted, although its files are complete by now",
    relied="latest roll-out: reissue; a number is never used again",
    needs=Needs.FILES,
)
def _not_repeated(at: ServerUnderTest) -> None:
    fails(at, "final", _without_graph)
    _complete(at.folder, "final", 2)
    at.stays("FAILED", lambda: at.state("final", 2))


@fact(
    "load-failed-is-repeated-when-wanted-anew",
    "a version that failed is loaded again after a config that did not name it",
    relied="pinned roll-out: a model that is admitted again",
    needs=Needs.FILES,
)
def _wanted_anew(at: ServerUnderTest) -> None:
    fails(at, "anew", _without_graph)
    at.deploy(at.folder.model("anew", versions=[1]))
    at.stays(1, lambda: at.answering("anew"))
    at.folder.remove("anew", 2)
    at.folder.add("anew", 2)
    at.deploy(at.folder.model("anew", versions=[1, 2]))
    at.eventually([(2, "AVAILABLE"), (1, "AVAILABLE")], lambda: at.states("anew"))


@fact(
    "load-failed-highest-under-latest",
    "under `latest` a highest version that fails leaves the old one serving, also when it is removed, or comes "
    "back complete under its number; a good higher one replaces it",
    relied="latest roll-out: withdraw, reissue",
    needs=Needs.FILES,
)
def _failed_highest(at: ServerUnderTest) -> None:
    at.folder.add("unlucky", 1)
    at.deploy(at.folder.model("unlucky"))
    at.eventually(1, lambda: at.answering("unlucky"))
    at.folder.add("unlucky", 2, change=_without_graph)
    at.eventually([(2, "FAILED"), (1, "AVAILABLE")], lambda: at.states("unlucky"))
    at.folder.remove("unlucky", 2)
    at.stays([(2, "FAILED"), (1, "AVAILABLE")], lambda: at.states("unlucky"))
    at.folder.add("unlucky", 2)
    at.stays([(2, "FAILED"), (1, "AVAILABLE")], lambda: at.states("unlucky"), "complete, under the same number")
    at.folder.add("unlucky", 3)
    at.eventually([(3, "AVAILABLE"), (2, "FAILED"), (1, "END")], lambda: at.states("unlucky"))


@fact(
    "load-held-back-list",
    "old versions stay where the only new one fails, and a config that wants them back waits until they are gone",
    relied="latest roll-out: a replica that is stuck gets a new number",
    needs=Needs.FILES,
)
def _held_back(at: ServerUnderTest) -> None:
    at.serve("held", 1, 2)
    at.folder.add("held", 3, change=_without_graph)
    at.folder.add("held", 4)
    at.deploy(at.folder.model("held", versions=[3]))
    at.eventually([(3, "FAILED"), (2, "AVAILABLE"), (1, "END")], lambda: at.states("held"))
    at.deploy(at.folder.model("held", versions=[2, 4]))
    at.stays((2, "unseen"), lambda: (at.answering("held"), at.state("held", 4)))
    at.folder.add("held", 5)
    at.deploy(at.folder.model("held", versions=[5]))
    at.eventually("AVAILABLE", lambda: at.state("held", 5))


@fact(
    "load-repeats-look-like-loading",
    "between two attempts a version is LOADING without an error; a load that is complete by the next one succeeds",
    relied="every wait has a deadline; --max_num_load_retries in a bucket",
    needs=Needs.OWN,
)
def _repeats(own: Launcher) -> None:
    own.folder.add("late", 1)
    flags = ("--max_num_load_retries=30", "--load_retry_interval_micros=1000000")
    with own.standard(*flags, models=[own.folder.model("late", versions=[1])]) as at:
        own.folder.add("late", 2, change=_without_graph)
        at.deploy(at.folder.model("late", versions=[1, 2]))
        at.eventually("LOADING", lambda: at.state("late", 2))
        at.stays(("LOADING", 0), lambda: (at.state("late", 2), at.status("late", 2)[0].status.error_code))
        _complete(own.folder, "late", 2)
        at.eventually("AVAILABLE", lambda: at.state("late", 2))


@fact(
    "load-cancelled",
    "a load that is not wanted any more ends as END with `Loading of servable cancelled`",
    relied="canary: an exposure that is taken back",
    needs=Needs.FILES,
)
def _cancelled(at: ServerUnderTest) -> None:
    at.serve("unwanted", 1)
    with at.folder.gate("unwanted.gate") as gate:
        at.folder.add("unwanted", 2, warm_up=[warm_up_record("gate", path=gate.path)])
        at.deploy(at.folder.model("unwanted", versions=[1, 2]))
        gate.wait_until_reached()
        at.deploy(at.folder.model("unwanted", versions=[1]))
        at.stays("LOADING", lambda: at.state("unwanted", 2))
    at.eventually("FAILED", lambda: at.state("unwanted", 2))
    at.expect_in("cancelled", at.status("unwanted", 2)[0].status.error_message)
    at.expect(1, at.answering("unwanted"))


@fact(
    "load-one-after-the-other",
    "with --num_load_threads=1 versions are loaded one after the other, the highest first; requests are answered",
    relied="first ring: a load that never ends blocks the next candidate",
    needs=Needs.FILES,
)
def _one_after_the_other(at: ServerUnderTest) -> None:
    at.serve("queue", 1)
    with at.folder.gate("queue.gate") as gate:
        at.folder.add("queue", 2)
        at.folder.add("queue", 3, warm_up=[warm_up_record("gate", path=gate.path)])
        at.deploy(at.folder.model("queue", versions=[1, 2, 3]))
        gate.wait_until_reached()
        at.stays(
            (1, [(3, "LOADING"), (1, "AVAILABLE")]),
            lambda: (at.answering("queue"), [each for each in at.states("queue") if each[0] != 2]),
        )
        at.expect(True, at.state("queue", 2) in ("unseen", "START", "LOADING"), "version 2 waits")
        at.expect("NOT_FOUND", at.answering("queue", version=2))
    at.eventually([(version, "AVAILABLE") for version in (3, 2, 1)], lambda: at.states("queue"))


@fact(
    "load-default-threads-block",
    "with the default --num_load_threads=0 a load that hangs blocks all other loads and unloads, and no request",
    relied="required flag --num_load_threads=1",
    needs=Needs.OWN,
)
def _default_threads(own: Launcher) -> None:
    own.folder.add("hung", 1)
    own.folder.add("hung-beside", 1)
    models = [own.folder.model("hung", versions=[1]), own.folder.model("hung-beside", versions=[1])]
    with own.standard("--num_load_threads=0", models=models) as at, own.folder.gate("hung.gate") as gate:
        own.folder.add("hung", 2, warm_up=[warm_up_record("gate", path=gate.path)])
        at.deploy(at.folder.model("hung", versions=[1, 2]), models[1])
        gate.wait_until_reached()
        own.folder.add("hung-beside", 2)
        at.deploy(at.folder.model("hung", versions=[1, 2]), at.folder.model("hung-beside", versions=[2]))
        at.stays((1, 1), lambda: (at.answering("hung"), at.answering("hung-beside")))
        gate.open()
        at.eventually((2, 2), lambda: (at.answering("hung"), at.answering("hung-beside")))


@fact(
    "unload-default-threads-block",
    "with the default --num_unload_threads=0 an unload that waits for a request blocks all other loads, and no request",
    relied="flags of a replica: --num_unload_threads=1",
    needs=Needs.OWN,
)
def _default_unload_threads(own: Launcher) -> None:
    own.folder.add("leaving", 1, 2)
    own.folder.add("leaving-beside", 1)
    beside = own.folder.model("leaving-beside")
    models = [own.folder.model("leaving", versions=[1, 2]), beside]
    with own.standard("--num_unload_threads=0", models=models) as at, own.folder.gate("leaving.gate") as gate:
        at.eventually((2, 1), lambda: (at.answering("leaving"), at.answering("leaving-beside")))
        request = at.request("leaving", version=1, signature="gate", inputs={"path": gate.path})
        pending = at.prediction.Predict.future(request, timeout=60)
        gate.wait_until_reached()
        at.deploy(at.folder.model("leaving", versions=[2]), beside)
        at.stays((2, True), lambda: (at.answering("leaving"), at.state("leaving", 1) != "END"))
        own.folder.add("leaving-beside", 2)
        at.stays(1, lambda: at.answering("leaving-beside"))
        gate.open()
        at.expect(1, pending.result().model_spec.version.value)
        at.eventually(2, lambda: at.answering("leaving-beside"))
