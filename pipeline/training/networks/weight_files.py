"""Load a file of pretrained weights into the base of a network, after every shape in it was compared.

Three kinds of HDF5 file are known, by what is in them and not by their names:

    published `*_notop.h5`    the layers by name in an attribute; older Keras, and what Keras publishes
    `.weights.h5` of a base   the layers below `layers/`
    `.weights.h5` of a whole network of ours   the base is one of the layers
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, takewhile, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import BadInputError

_LAYERS, _WEIGHTS = "layer_names", "weight_names"
# Weights of batch normalisation: all of a layer have the same shape, so that a wrong order would not be noticed.
_STATISTICS = frozenset({"gamma", "beta", "moving_mean", "moving_variance"})


class _Weights(NamedTuple):
    """The weights of one layer: their names, without that of the layer, and their shapes."""

    layer: str
    names: list[str]
    shapes: list[tuple[int, ...]]


def load_weights(base: Any, path: Path, *, name: str) -> None:
    """Load the weights of a file into a Keras model. If it raises, the weights of the model are unchanged.

    Args:
        base: a network of `keras.applications` without its top.
        path: the file.
        name: that of the network, for messages.

    Raises:
        BadInputError: the file is damaged, or is of another network.
    """
    with _opened(path) as file, tempfile.TemporaryDirectory() as scratch:
        if _LAYERS in file.attrs or f"{_LAYERS}0" in file.attrs:
            _compare(_published(file), _weights_of(base), path, name)
            found, copy = file, Path(scratch) / "base.h5"
        else:
            found, copy = _base_in(file, base, Path(scratch), path, name), Path(scratch) / "base.weights.h5"
        _copy(found, copy)
        base.load_weights(copy)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError, ValueError) as error:  # h5py raises each of them for damage
        raise BadInputError(
            f"training.network.weights: {path} cannot be read as an HDF5 file: {error}. It is damaged, or of another "
            f"format: give the published file of Keras without the top, or a .weights.h5 file"
        ) from error


def _published(file: Any) -> list[_Weights]:
    """The layers of a file in the format of published weights, as far as they have weights, in their order."""
    layers = []
    for layer in _attribute(file, _LAYERS):
        names = _attribute(file[layer], _WEIGHTS)
        if names:
            kinds = [each.rpartition("/")[2].partition(":")[0] for each in names]
            layers.append(_Weights(layer, kinds, [file[layer][each].shape for each in names]))
    return layers


def _attribute(group: Any, name: str) -> list[str]:
    """A list of texts. A long one is divided, because HDF5 limits the size of an attribute."""
    numbered = takewhile(group.attrs.__contains__, (f"{name}{number}" for number in count()))
    texts = [text for part in ([name] if name in group.attrs else numbered) for text in group.attrs[part]]
    return [text.decode() if isinstance(text, bytes) else str(text) for text in texts]


def _weights_of(base: Any) -> list[_Weights]:
    """The layers of a model as they stand in such a file: in a layer, the trainable weights come first."""
    layers = []
    for layer in base.layers:
        weights = layer.trainable_weights + layer.non_trainable_weights
        if weights:
            layers.append(
                _Weights(layer.name, [each.name for each in weights], [tuple(each.shape) for each in weights])
            )
    return layers


def _compare(found: list[_Weights], expected: list[_Weights], path: Path, name: str) -> None:
    if len(found) != len(expected):
        raise _of_another(
            path, name, f"it has {len(found)} layers with weights, and {name} without its top {len(expected)}"
        )
    for ours, theirs in zip(expected, found, strict=True):
        if ours.shapes != theirs.shapes:
            raise _of_another(
                path, name, f"its layer {theirs.layer} has the shapes {theirs.shapes}, expected {ours.shapes}"
            )
        for one, other in zip_longest(ours.names, theirs.names):
            if one != other and {one, other} <= _STATISTICS:
                raise _of_another(path, name, f"its layer {theirs.layer} has {other} in the place of {one}")


def _base_in(file: Any, base: Any, scratch: Path, path: Path, name: str) -> Any:
    """The group of a `.weights.h5` file that holds exactly the weights of the base.

    What that is depends on the version of Keras, so a file of the base is written and compared.
    """
    import h5py

    base.save_weights(scratch / "expected.weights.h5")
    with h5py.File(scratch / "expected.weights.h5", "r") as written:
        expected = _shapes(written)
    found = _shapes(file)
    some = next(iter(expected))
    groups = [each.removesuffix(some) for each in found if each == some or each.endswith(f"/{some}")]
    problem = f"it has {len(found)} weights in another structure; {name} without its top has {len(expected)}"
    for group in groups:
        inside = {each.removeprefix(group): shape for each, shape in found.items() if each.startswith(group)}
        if inside == expected:
            return file[group] if group else file
        problem = _difference(inside, expected, name)
    raise _of_another(path, name, problem)


def _shapes(group: Any) -> dict[str, tuple[int, ...]]:
    """The shape of each array below a group, by its path."""
    import h5py

    found: dict[str, tuple[int, ...]] = {}

    def add(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item.shape

    group.visititems(add)
    return found


def _difference(found: dict[str, tuple[int, ...]], expected: dict[str, tuple[int, ...]], name: str) -> str:
    for each, shape in expected.items():
        if each in found and found[each] != shape:
            return f"its weight {each} has the shape {found[each]}, expected {shape}"
    other = min(found.keys() ^ expected.keys())
    return f"it has {len(found)} weights, and {name} without its top {len(expected)}; the first other one is {other}"


def _copy(group: Any, target: Path) -> None:
    """A file of its own, with the name by which Keras knows the format."""
    import h5py

    with h5py.File(target, "w") as copy:
        for name, value in group.attrs.items():
            copy.attrs[name] = value
        for name in group:
            group.copy(name, copy)


def _of_another(path: Path, name: str, problem: str) -> BadInputError:
    return BadInputError(
        f"training.network.weights: the weights in {path} are not those of {name} without its top: {problem}. Give a "
        f"file of this network, or correct training.network.name"
    )
