"""A `.keras` file. Its layers must be those of Keras: the code of other ones would be run to load it."""

import json
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import BadInputError
from pipeline.spec import Image
from pipeline.training.exporting.imported_parts import Loaded, Port, require_ports

_CONFIG = "config.json"
# Of a network with ten thousand layers; a member of a few kB may unpack to any size.
_MOST_CONFIG = 50_000_000
# The optimiser and the loss, which may be anybody's.
_NOT_LOADED = "compile_config"
_LAMBDAS = frozenset({"Lambda", "__lambda__"})
_CAUSE = "Exception encountered: "
_WAY_OUT = (
    "which cannot be loaded without running code of the file. Write the model with layers of Keras alone; or export it "
    "where that code is, with `model.export(folder)`, and name the folder"
)


def load_keras(path: Path, *, model: str, image: Image, labels: Sequence[str]) -> Loaded:
    """The network in a `.keras` file, in safe mode and without its optimiser.

    Args:
        path: of the copy to load.
        model: how messages name it.
        image: the size and the channels of the images.
        labels: in the order of the outputs.

    Raises:
        BadInputError: it is no such file, has layers that are not those of Keras, or does not take the images or give a
            number for each label.
    """
    import keras
    import tensorflow as tf

    _require_own_layers(path, model)
    try:
        network = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # whatever a layer raises that does not understand the file
        raise BadInputError(
            f"import.model: Keras {keras.__version__} cannot load {model}: {_reason(error)}. Save it with this "
            f"version of Keras, or export it with `model.export(folder)` and name the folder"
        ) from error
    if not isinstance(network, keras.Model):
        raise BadInputError(f"import.model: {model} holds a {type(network).__name__}, not a model")
    require_ports(model, _ports(network, "inputs"), _ports(network, "outputs"), image=image, labels=labels)

    def run(pixels: Any) -> Any:
        (outputs,) = tf.nest.flatten(network(pixels, training=False))
        return outputs

    return Loaded(run, network.variables)


def _require_own_layers(path: Path, model: str) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(_CONFIG).file_size > _MOST_CONFIG:
                raise ValueError(f"its {_CONFIG} has more than {_MOST_CONFIG:,} bytes")
            config = json.loads(archive.read(_CONFIG))
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, OSError, RuntimeError, NotImplementedError) as error:
        raise BadInputError(
            f"import.model: {model} is not a file of `model.save` of Keras 3 ({error}); save it again with Keras 3"
        ) from error
    foreign = sorted({name for each in _objects(config) if (name := _foreign(each))})
    if foreign:
        raise BadInputError(f"import.model: {model} uses {', '.join(foreign)}, {_WAY_OUT}")


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """Everything in the configuration that names a class, however deep."""
    pending = [config]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if "class_name" in value:
                yield value
            pending.extend(each for key, each in value.items() if key != _NOT_LOADED)
        elif isinstance(value, list):
            pending.extend(value)


def _foreign(described: dict[str, Any]) -> str | None:
    """What is not of Keras, for a message; None if it is."""
    name, module = str(described["class_name"]), described.get("module")
    if name in _LAMBDAS:
        return "a Lambda layer"
    if name == "function" and module == "builtins":
        # A function by its name: Keras finds its own ones, and no other.
        return None
    if isinstance(module, str) and module.split(".", maxsplit=1)[0] == "keras":
        return None
    if module is None and not described.get("registered_name"):
        # A value such as a tuple or a tensor: `__tuple__`.
        return None
    return f"{name!r} of {module or 'its author'}"


def _ports(network: Any, which: str) -> list[Port]:
    tensors = getattr(network, which, None) or []
    return [Port(each.name, str(each.dtype), each.shape) for each in tensors]


def _reason(error: Exception) -> str:
    """One line of Keras' many: the innermost cause, which follows the configurations of all that is around it."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    causes = [line.removeprefix(_CAUSE) for line in lines if line.startswith(_CAUSE)]
    return causes[-1].rstrip(".") if causes else lines[0].rstrip(".")
