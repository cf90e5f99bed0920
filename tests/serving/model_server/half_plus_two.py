"""Run as a program: `half_plus_two.py DIRECTORY` writes the models TensorFlow Serving's own tests are about.

    y  = x / 2 + 2      y2 = x / 2 + 3      y3 = x2 / 2 + 3

`half_plus_two` is exported as TensorFlow 1 did it: a graph, a session, and signatures that name their methods, with
requests of every kind to warm up with. `half_plus_two_pbtxt` is the same as text, `half_plus_three` adds 3 instead,
and `half_plus_two_tf2` is exported as TensorFlow 2 does it. Names and shapes are upstream's; each is version 123.
"""

import sys
from pathlib import Path
from typing import Any

from serving.apis import prediction_log_pb2, types_pb2
from tests.serving.inference.echo import CLASSIFY, REGRESS, example

PREDICT = "tensorflow/serving/predict"
VERSION = "00000123"
CONTENT = "asset-file-contents"


def export_graph(tf: Any, path: Path, asset: Path, *, offset: float = 2.0, as_text: bool = False) -> None:
    v1 = tf.compat.v1
    builder = v1.saved_model.Builder(str(path))
    with tf.Graph().as_default(), v1.Session() as session:
        # The old kind of variable, which no TensorFlow 2 export has.
        half, b, c = (
            v1.Variable(value, name=name, use_resource=False)
            for name, value in {"a": 0.5, "b": offset, "c": 3.0}.items()
        )
        examples = v1.placeholder(tf.string, name="tf_example")
        features = {
            "x": v1.FixedLenFeature([1], tf.float32),
            "x2": v1.FixedLenFeature([1], tf.float32, default_value=[0.0]),
        }
        parsed = v1.parse_example(tf.ensure_shape(examples, [None]), features)
        x = tf.identity(parsed["x"], name="x")
        x2 = tf.identity(parsed["x2"], name="x2")
        y = tf.identity(half * x + b, name="y")
        y2 = tf.identity(half * x + c, name="y2")
        y3 = tf.identity(half * x2 + c, name="y3")
        asset_path = tf.constant(str(asset))
        session.run(v1.global_variables_initializer())
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            signature_def_map={
                "serving_default": _signature(tf, PREDICT, {"x": x}, {"y": y}),
                "regress_x_to_y": _signature(tf, REGRESS, {"inputs": examples}, {"outputs": y}),
                "regress_x_to_y2": _signature(tf, REGRESS, {"inputs": examples}, {"outputs": y2}),
                "regress_x2_to_y3": _signature(tf, REGRESS, {"inputs": x2}, {"outputs": y3}),
                "classify_x_to_y": _signature(tf, CLASSIFY, {"inputs": examples}, {"scores": y}),
            },
            assets_collection=[asset_path],
            main_op=_initialiser(tf, asset_path),
        )
    builder.save(as_text=as_text)


def _signature(tf: Any, method: str, inputs: dict[str, Any], outputs: dict[str, Any]) -> Any:
    info = tf.compat.v1.saved_model.build_tensor_info
    return tf.compat.v1.saved_model.build_signature_def(
        {alias: info(tensor) for alias, tensor in inputs.items()},
        {alias: info(tensor) for alias, tensor in outputs.items()},
        method,
    )


def _initialiser(tf: Any, asset_path: Any) -> Any:
    """An operation that fails a load which does not say where the asset is."""
    content = tf.io.read_file(asset_path)
    kept = tf.compat.v1.Variable("", name="kept", trainable=False, collections=[], use_resource=False)
    with tf.control_dependencies([tf.debugging.Assert(tf.equal(content, CONTENT), [asset_path, content])]):
        return tf.group(kept.assign(content))


def export_functions(tf: Any, path: Path) -> None:
    class HalfPlusTwo(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = (tf.Variable(value) for value in (0.5, 2.0, 3.0))

        def of_examples(self, alias: str, offset: Any) -> Any:
            @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])  # type: ignore[untyped-decorator]
            def answer(inputs: Any) -> Any:
                x = tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"]
                return {alias: self.a * x + offset}

            return answer

        def of_tensor(self, given: str, alias: str, offset: Any) -> Any:
            @tf.function(input_signature=[tf.TensorSpec([1], tf.float32, name=given)])  # type: ignore[untyped-decorator]
            def answer(x: Any) -> Any:
                return {alias: self.a * x + offset}

            return answer

    model = HalfPlusTwo()
    signatures = {
        "serving_default": model.of_tensor("x", "y", model.b),
        "regress_x_to_y": model.of_examples("outputs", model.b),
        "regress_x_to_y2": model.of_examples("outputs", model.c),
        "regress_x2_to_y3": model.of_tensor("inputs", "outputs", model.c),
        "classify_x_to_y": model.of_examples("scores", model.b),
        "classify_x2_to_y3": model.of_tensor("inputs", "scores", model.c),
    }
    tf.saved_model.save(model, str(path), signatures=signatures)


def warm_up_logs() -> list[Any]:
    """A request of every kind that a warm-up may hold."""
    predict: Any = prediction_log_pb2.PredictionLog(predict_log={"request": {"model_spec": {"name": "m"}}})
    predict.predict_log.request.inputs["x"].dtype = types_pb2.DT_FLOAT
    predict.predict_log.request.inputs["x"].float_val.append(2)
    given = {"example_list": {"examples": [example(x=2.0)]}}
    regress = {"name": "m", "signature_name": "regress_x_to_y"}
    classify = {"name": "m", "signature_name": "classify_x_to_y"}
    tasks = [{"model_spec": regress, "method_name": REGRESS}, {"model_spec": classify, "method_name": CLASSIFY}]
    return [
        predict,
        prediction_log_pb2.PredictionLog(regress_log={"request": {"model_spec": regress, "input": given}}),
        prediction_log_pb2.PredictionLog(classify_log={"request": {"model_spec": classify, "input": given}}),
        prediction_log_pb2.PredictionLog(multi_inference_log={"request": {"tasks": tasks, "input": given}}),
    ]


def main(root: Path) -> None:
    import tensorflow as tf

    root.mkdir(parents=True, exist_ok=True)
    asset = root / "foo.txt"
    asset.write_text(CONTENT)
    graph = root / "half_plus_two" / VERSION
    export_graph(tf, graph, asset)
    export_graph(tf, root / "half_plus_two_pbtxt" / VERSION, asset, as_text=True)
    export_graph(tf, root / "half_plus_three" / VERSION, asset, offset=3.0)
    export_functions(tf, root / "half_plus_two_tf2" / VERSION)
    asset.unlink()
    (graph / "assets.extra").mkdir()
    with tf.io.TFRecordWriter(str(graph / "assets.extra" / "tf_serving_warmup_requests")) as writer:
        for log in warm_up_logs():
            writer.write(log.SerializeToString())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
