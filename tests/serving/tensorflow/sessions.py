"""Run as a program: `sessions.py DIRECTORY TYPE...` writes SavedModels with an input `x` and an output `y`.

One for each type gives back what it is given; `slow` takes as long as it is told to.
"""

import sys
from typing import Any


def echo(tf: Any, dtype: Any) -> Any:
    class Echo(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec(None, dtype, name="x")])  # type: ignore[untyped-decorator]
        def serve(self, x: Any) -> Any:
            return {"y": tf.identity(x)}

    return Echo()


def slow(tf: Any) -> Any:
    class Slow(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([], tf.int32, name="x")])  # type: ignore[untyped-decorator]
        def serve(self, x: Any) -> Any:
            square = tf.eye(300)
            for _ in tf.range(x):
                square = tf.linalg.matmul(square, square)
            return {"y": tf.reduce_sum(square)}

    return Slow()


def main(folder: str, *types: str) -> None:
    import tensorflow as tf

    models = {name: echo(tf, tf.as_dtype(name)) for name in types} | {"slow": slow(tf)}
    for name, model in models.items():
        tf.saved_model.save(model, f"{folder}/{name}", signatures=model.serve)


if __name__ == "__main__":
    main(*sys.argv[1:])
