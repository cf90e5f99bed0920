"""Predict and GetModelMetadata: who answers, and with what."""

import numpy as np

from serving.apis import tensor_pb2, types_pb2
from serving.wire import from_proto
from tests.conformance.facts import Needs, fact
from tests.conformance.server import ASKED, STABLE, ServerUnderTest

# 70 million floats, more than the embedded server repeats.
_MANY = 70_000_000


@fact(
    "predict-says-who-answered",
    "an answer names the version that gave it and the signature, also where the request names neither",
    relied="canary, client",
    needs=Needs.REQUESTS,
)
def _says_who_answered(at: ServerUnderTest) -> None:
    spec = at.predict().model_spec
    at.expect((ASKED, 2, "serving_default"), (spec.name, spec.version.value, spec.signature_name))


@fact(
    "predict-highest",
    "a request without version or label is answered by the highest loaded version",
    relied="latest roll-out",
    needs=Needs.REQUESTS,
)
def _highest(at: ServerUnderTest) -> None:
    at.expect([4.0], from_proto(at.predict().outputs["y"]).tolist())


@fact(
    "predict-version-or-label",
    "a request may name a loaded version, or a label",
    relied="canary, client",
    needs=Needs.REQUESTS,
)
def _version_or_label(at: ServerUnderTest) -> None:
    at.expect(1, at.answering(version=1))
    at.expect(2, at.answering(version=2))
    at.expect(1, at.answering(label=STABLE))


@fact(
    "predict-typed-values",
    "an answer has its values in the typed field, not in tensor_content",
    relied="embedded server",
    needs=Needs.REQUESTS,
)
def _typed_values(at: ServerUnderTest) -> None:
    y = at.predict(inputs={"x": [1.0, 2.0]}).outputs["y"]
    at.expect(([2.0, 4.0], b""), (list(y.float_val), y.tensor_content))


@fact(
    "predict-tensor-forms",
    "an input may be in tensor_content, and the last of too few values is repeated",
    relied="client",
    needs=Needs.REQUESTS,
)
def _tensor_forms(at: ServerUnderTest) -> None:
    content = np.array([1, 3], np.float32).tobytes()
    packed = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, tensor_content=content)
    packed.tensor_shape.dim.add(size=2)
    few = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, float_val=[5])
    few.tensor_shape.dim.add(size=3)
    for given, expected in ((packed, [2.0, 6.0]), (few, [10.0] * 3)):
        at.expect(expected, from_proto(at.predict(inputs={"x": given}).outputs["y"]).tolist())


@fact(
    "predict-large-messages",
    "requests and answers of more than 4 MiB are accepted",
    relied="client, embedded server",
    needs=Needs.REQUESTS,
)
def _large(at: ServerUnderTest) -> None:
    answer = at.predict(inputs={"x": np.ones(1_500_000)})
    at.expect(1_500_000, len(from_proto(answer.outputs["y"])))


@fact(
    "predict-repeated-values",
    "one value may stand for a tensor of more than 256 MiB",
    relied="embedded server",
    needs=Needs.REQUESTS,
)
def _repeated_values(at: ServerUnderTest) -> None:
    one = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, float_val=[1])
    one.tensor_shape.dim.add(size=_MANY)
    at.expect("OK", at.answer_of(signature="count", inputs={"x": one}))


@fact(
    "predict-many-dimensions",
    "a tensor may have 65 dimensions",
    relied="embedded server",
    needs=Needs.REQUESTS,
)
def _many_dimensions(at: ServerUnderTest) -> None:
    deep = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, float_val=[1])
    for _ in range(65):
        deep.tensor_shape.dim.add(size=1)
    at.expect("OK", at.answer_of(signature="count", inputs={"x": deep}))


@fact("predict-rare-types", "a tensor may have the type qint8", relied="embedded server", needs=Needs.REQUESTS)
def _rare_types(at: ServerUnderTest) -> None:
    quantized = tensor_pb2.TensorProto(dtype=types_pb2.DT_QINT8, int_val=[7])
    at.expect("OK", at.answer_of(signature="qint8", inputs={"q": quantized}))


@fact(
    "metadata-of-the-label",
    "GetModelMetadata answers which version is behind a label, and with its signatures",
    relied="pinned roll-out, canary",
    needs=Needs.REQUESTS,
)
def _metadata(at: ServerUnderTest) -> None:
    answer = at.metadata(ASKED, label=STABLE)
    at.expect((ASKED, 1), (answer.model_spec.name, answer.model_spec.version.value))
    at.expect(["signature_def"], list(answer.metadata))
    at.expect_in("serving_default", str(answer.metadata["signature_def"].value))
