"""The folder of a SavedModel with a signature that takes pixels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import BadInputError
from pipeline.spec import Image
from pipeline.training.exporting.imported_parts import Loaded, Port, require_ports


def load_saved_model(folder: Path, *, model: str, signature: str, image: Image, labels: Sequence[str]) -> Loaded:
    """The network behind a signature of a SavedModel. Loading it runs its initialisation, so it is scanned before.

    The folder is needed until the network is exported: files that its tables read are copied then.

    Args:
        folder: the copy to load.
        model: how messages name it.
        signature: which one.
        image: the size and the channels of the images.
        labels: in the order of the outputs.

    Raises:
        BadInputError: TensorFlow cannot load it, there is no such signature, or it does not take the images or give a
            number for each label.
    """
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(folder), tags=["serve"])
    except Exception as error:  # TensorFlow raises nearly anything about a damaged file
        raise BadInputError(f"import.model: TensorFlow {tf.__version__} cannot load {model}: {error}") from error
    function = loaded.signatures.get(signature)
    if function is None:
        raise BadInputError(
            f"import.signature: {model} has no {signature!r}, only {', '.join(sorted(loaded.signatures)) or 'none'}"
        )
    inputs = [_port(name, spec) for name, spec in sorted(function.structured_input_signature[1].items())]
    outputs = [_port(name, spec) for name, spec in sorted(function.structured_outputs.items())]
    require_ports(model, inputs, outputs, image=image, labels=labels)
    taken, given = inputs[0].name, outputs[0].name
    return Loaded(
        run=lambda pixels: function(**{taken: pixels})[given],
        variables=list(function.variables),
        resources=_resources(loaded, function),
    )


def _port(name: str, spec: Any) -> Port:
    return Port(name, spec.dtype.name, None if spec.shape.rank is None else spec.shape.as_list())


def _resources(loaded: Any, function: Any) -> list[Any]:
    """What the function reads besides variables. It must be exported too: a server would not find it otherwise."""
    import tensorflow as tf

    captured = {id(tensor) for tensor in function.captured_inputs}
    held = tf.train.TrackableView(loaded).descendants()
    return [each for each in held if not isinstance(each, tf.Variable) and id(_handle(each)) in captured]


def _handle(held: Any) -> Any:
    return getattr(held, "resource_handle", None)
