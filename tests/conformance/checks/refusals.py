"""What requests are refused with. Clients and the canary tell these codes and texts apart."""

from functools import partial

import numpy as np

from serving.apis import get_model_status_pb2, model_management_pb2, predict_pb2, tensor_pb2, types_pb2
from tests.conformance.facts import Needs, fact
from tests.conformance.server import ASKED, ServerUnderTest, refusal


@fact(
    "refuse-unknown-model",
    "an unknown model, and a version that is not loaded, are NOT_FOUND: `Servable not found for request: ...`",
    relied="canary, client",
    needs=Needs.REQUESTS,
)
def _unknown_model(at: ServerUnderTest) -> None:
    unknown = "NOT_FOUND: Servable not found for request: "
    at.expect(f"{unknown}Latest(nobody)", at.answer_of("nobody"))
    at.expect(f"{unknown}Specific({ASKED}, 99)", at.answer_of(version=99))


@fact(
    "refuse-unknown-label",
    "an unknown label is INVALID_ARGUMENT: `Unrecognized servable version label: L`",
    relied="client, pinned roll-out",
    needs=Needs.REQUESTS,
)
def _unknown_label(at: ServerUnderTest) -> None:
    at.expect("INVALID_ARGUMENT: Unrecognized servable version label: other", at.answer_of(label="other"))


@fact(
    "refuse-without-model",
    "a request without a model spec, and one without a name, are INVALID_ARGUMENT, with different words",
    relied="embedded server",
    needs=Needs.REQUESTS,
)
def _without_model(at: ServerUnderTest) -> None:
    without = predict_pb2.PredictRequest()
    at.expect("INVALID_ARGUMENT: Missing ModelSpec", refusal(lambda: at.prediction.Predict(without, timeout=10)))
    at.expect("INVALID_ARGUMENT: ModelSpec has no name specified.", at.answer_of(""))


@fact(
    "refuse-unknown-signature",
    'an unknown signature is FAILED_PRECONDITION: `Serving signature key "s" not found.`',
    relied="embedded server",
    needs=Needs.REQUESTS,
)
def _unknown_signature(at: ServerUnderTest) -> None:
    at.expect('FAILED_PRECONDITION: Serving signature key "s" not found.', at.answer_of(signature="s"))


@fact(
    "refuse-wrong-inputs",
    "inputs of the wrong number or name are INVALID_ARGUMENT, and the text names them",
    relied="client",
    needs=Needs.REQUESTS,
)
def _wrong_inputs(at: ServerUnderTest) -> None:
    at.expect(
        "INVALID_ARGUMENT: input size does not match signature: 0!=1 len({}) != len({x}). "
        "Sent extra: {}. Missing but required: {x}.",
        at.answer_of(inputs={}),
    )
    at.expect_in("INVALID_ARGUMENT: Signature input alias: x", at.answer_of(inputs={"z": 1.0}))


@fact(
    "refuse-bad-tensors",
    "a tensor whose bytes do not fit its shape, or of the wrong type, is INVALID_ARGUMENT",
    relied="client",
    needs=Needs.REQUESTS,
)
def _bad_tensors(at: ServerUnderTest) -> None:
    short = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, tensor_content=b"123")
    short.tensor_shape.dim.add(size=2)
    at.expect("INVALID_ARGUMENT: tensor parsing error: x", at.answer_of(inputs={"x": short}))
    at.expect_in("INVALID_ARGUMENT: ", at.answer_of(inputs={"x": "text"}))


@fact(
    "refuse-output-filters",
    "an output filter with an unknown or a repeated name is INVALID_ARGUMENT",
    relied="embedded server",
    needs=Needs.REQUESTS,
)
def _output_filters(at: ServerUnderTest) -> None:
    for names, words in (
        (["z"], "INVALID_ARGUMENT: output tensor alias not found in signature: z"),
        (["y", "y"], "INVALID_ARGUMENT: duplicate output tensor alias: y"),
    ):
        request = at.request()
        request.output_filter.extend(names)
        at.expect_in(words, refusal(partial(at.prediction.Predict, request, timeout=10)))


@fact(
    "refuse-metadata-fields",
    "metadata has the field `signature_def` only, and a request must name it",
    relied="pinned roll-out",
    needs=Needs.REQUESTS,
)
def _metadata_fields(at: ServerUnderTest) -> None:
    at.expect(
        "INVALID_ARGUMENT: GetModelMetadataRequest must specify at least one metadata_field",
        refusal(lambda: at.metadata(ASKED, fields=[])),
    )
    at.expect("INVALID_ARGUMENT: Metadata field z is not supported", refusal(lambda: at.metadata(ASKED, fields=["z"])))


@fact(
    "refuse-status",
    "the status of an unknown model or version is NOT_FOUND, without a model spec INVALID_ARGUMENT",
    relied="canary: a version that was not polled yet is waited for",
    needs=Needs.REQUESTS,
)
def _status(at: ServerUnderTest) -> None:
    at.expect("NOT_FOUND: Could not find any versions of model nobody", refusal(lambda: at.status("nobody")))
    at.expect(f"NOT_FOUND: Could not find version 99 of model {ASKED}", refusal(lambda: at.status(ASKED, 99)))
    without = get_model_status_pb2.GetModelStatusRequest()
    at.expect("INVALID_ARGUMENT: Missing ModelSpec", refusal(lambda: at.models.GetModelStatus(without, timeout=10)))


@fact(
    "refuse-long-messages",
    "the text of an error is cut at about 1024 characters and ends with `...TRUNCATED`",
    relied="embedded server",
    needs=Needs.REQUESTS,
)
def _long_messages(at: ServerUnderTest) -> None:
    answer = at.answer_of("n" * 3000).removeprefix("NOT_FOUND: ")
    at.expect(("...TRUNCATED", True), (answer[-12:], len(answer) <= 1024 + len("...TRUNCATED")))


@fact(
    "refuse-reload-without-list",
    "a reload request without a model config list is INVALID_ARGUMENT and changes nothing",
    relied="repair of a stuck replica",
    needs=Needs.REQUESTS,
)
def _reload_without_list(at: ServerUnderTest) -> None:
    empty = model_management_pb2.ReloadConfigRequest()
    answer = refusal(lambda: at.models.HandleReloadConfigRequest(empty, timeout=10))
    at.expect_in("INVALID_ARGUMENT: ", answer)
    at.expect_in("Only ModelConfigList is currently supported", answer)
    at.expect(1, at.answering(label="stable"))


@fact(
    "refuse-failing-graph",
    "a graph that fails on its input answers INVALID_ARGUMENT, and the server continues",
    relied="client",
    needs=Needs.REQUESTS,
)
def _graph_fails(at: ServerUnderTest) -> None:
    at.expect_in("INVALID_ARGUMENT: ", at.answer_of(signature="gate", inputs={"path": np.array([1.0])}))
    at.expect(2, at.answering())
