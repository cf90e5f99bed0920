"""--enable_batching."""

import numpy as np

from tests.conformance.facts import Needs, fact
from tests.conformance.launcher import Launcher
from tests.conformance.models import warm_up_record

_ON = "--enable_batching"


@fact(
    "batching-answers",
    "with --enable_batching requests are answered as without",
    relied="serving image: BATCHING",
    needs=Needs.OWN,
)
def _answers(own: Launcher) -> None:
    own.folder.add("batched", 2)
    file = own.folder.write("batching.config", "max_batch_size { value: 8 } batch_timeout_micros { value: 500 }")
    flags = (_ON, f"--batching_parameters_file={file}")
    with own.standard(*flags, models=[own.folder.model("batched")]) as at:
        at.eventually(2, lambda: at.answering("batched"))
        at.expect([2.0, 4.0], list(at.predict("batched", inputs={"x": [1.0, 2.0]}).outputs["y"].float_val))


@fact(
    "batching-warm-up",
    "warm-up requests are batched too: one whose input has no rows fails the load",
    relied="docs of the embedded server",
    needs=Needs.OWN,
)
def _warm_up(own: Launcher) -> None:
    own.folder.add("rowless", 1)
    with own.standard(_ON, models=[own.folder.model("rowless", versions=[1])]) as at:
        own.folder.add("rowless", 2, warm_up=[warm_up_record("", x=1.0)])
        at.deploy(at.folder.model("rowless", versions=[1, 2]))
        at.eventually([(2, "FAILED"), (1, "AVAILABLE")], lambda: at.states("rowless"))


@fact(
    "batching-allowed-sizes",
    "the last of allowed_batch_sizes must be max_batch_size, or every load fails",
    relied="serving image: BATCHING",
    needs=Needs.OWN,
)
def _allowed_sizes(own: Launcher) -> None:
    own.folder.add("sized", 1)
    file = own.folder.write("sizes.config", "max_batch_size { value: 8 } allowed_batch_sizes: 4")
    with own.standard(_ON, f"--batching_parameters_file={file}") as at:
        at.write_config(at.folder.model("sized"))
        at.eventually([(1, "FAILED")], lambda: at.states("sized"))
        message = at.status("sized", 1)[0].status.error_message
        at.expect_in("Last entry in allowed_batch_sizes must match max_batch_size", message)


@fact(
    "batching-zero-rows",
    "a request of zero rows is never scheduled",
    relied="embedded server",
    needs=Needs.OWN,
)
def _zero_rows(own: Launcher) -> None:
    own.folder.add("rows", 1)
    with own.standard(_ON, models=[own.folder.model("rows")]) as at:
        at.eventually(1, lambda: at.answering("rows"))
        request = at.request("rows", inputs={"x": np.zeros(0)})
        pending = at.prediction.Predict.future(request, timeout=5)
        at.expect("DEADLINE_EXCEEDED", pending.code().name)


@fact(
    "batching-per-model",
    "with --enable_per_model_batching_parameters a version is batched by its file batching_params.pbtxt, and not "
    "at all without one",
    relied="docs of the embedded server",
    needs=Needs.OWN,
)
def _per_model(own: Launcher) -> None:
    # Sizes that contradict each other fail a load, which shows that the file was read.
    text = "max_batch_size { value: 8 } allowed_batch_sizes: 4"
    own.folder.add("own-sizes", 1)
    own.folder.add("own-sizes", 2, change=lambda folder: (folder / "batching_params.pbtxt").write_text(text))
    models = [own.folder.model("own-sizes", versions=[1])]
    with own.standard(_ON, "--enable_per_model_batching_parameters", models=models) as at:
        # A scalar has no rows, so a batch would refuse it.
        at.expect("OK", at.answer_of("own-sizes", inputs={"x": 1.0}))
        at.deploy(at.folder.model("own-sizes", versions=[1, 2]))
        at.eventually([(2, "FAILED"), (1, "AVAILABLE")], lambda: at.states("own-sizes"))
