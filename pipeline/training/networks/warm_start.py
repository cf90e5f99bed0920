"""Begin a training with the weights of the version that serves."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.first_few import first_few

# How `pipeline.training.exporting.export` names variables in a SavedModel.
_NAME = re.compile(r"weights/([0-9]+)/\.ATTRIBUTES/VARIABLE_VALUE")

_Arrays = list[NDArray[Any]]


class _ColdError(Exception):
    """Why no weight can be taken; the text is the end of a sentence."""


def warm_start(model: Any, folder: Path, *, labels: Sequence[str], old_labels: Sequence[str]) -> str:
    """Take over the weights of a version, if it has the same network; a sentence about what was taken, or why nothing.

    The head, which is the last layer with weights, may have other labels: the outputs of labels that both have are
    taken over, and those of new labels keep their random weights. The states of random generators are not taken.

    Args:
        model: the new network, `building.Built.model`. Its variables change all or not at all.
        folder: the SavedModel of the version, on this machine.
        labels: of the outputs of the model, in their order.
        old_labels: of the version.
    """
    try:
        new = _with_head(model, _stored(folder), labels=labels, old_labels=old_labels)
    except _ColdError as error:
        return f"cold start: {error}"
    for variable, value in new:
        variable.assign(value)
    added = [label for label in labels if label not in set(old_labels)]
    random = f"; the outputs of new labels begin with random weights: {first_few(added, 5)}" if added else ""
    return f"warm start: {len(new)} weights of the serving version were taken{random}"


def _stored(folder: Path) -> _Arrays:
    import tensorflow as tf

    try:
        reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
        found = {int(match[1]): name for name in reader.get_variable_to_shape_map() if (match := _NAME.fullmatch(name))}
        arrays = [reader.get_tensor(found[position]) for position in range(len(found))]
    except (tf.errors.OpError, ValueError, RuntimeError, KeyError) as error:
        raise _ColdError(f"the variables of the serving version cannot be read: {str(error)[:200]}") from error
    if not arrays:
        raise _ColdError("the serving version was not trained here: its variables have other names")
    return arrays


def _with_head(
    model: Any, old: _Arrays, *, labels: Sequence[str], old_labels: Sequence[str]
) -> list[tuple[Any, NDArray[Any]]]:
    """Each weight of the model with its new value."""
    if len(old) != len(model.variables):
        raise _ColdError(
            f"the serving version has another network: {len(old)} variables, and this one has {len(model.variables)}"
        )
    weights = {id(each) for each in model.weights}
    # Without the states of random generators, which are no weights.
    pairs = [(each, value) for each, value in zip(model.variables, old, strict=True) if id(each) in weights]
    head = _head(model, labels) if list(labels) != list(old_labels) else set()
    taken = []
    for variable, value in pairs:
        if id(variable) in head:
            taken.append((variable, _joined(variable, value, labels=labels, old_labels=old_labels)))
            continue
        if tuple(variable.shape) != value.shape:
            raise _other_shape(variable, value)
        taken.append((variable, value))
    return taken


def _head(model: Any, labels: Sequence[str]) -> set[int]:
    """The ids of the kernel and the bias of the last layer: each has one column for each label."""
    last = model.weights[-2:]
    if len(last) == 2 and [len(each.shape) for each in last] == [2, 1]:
        columns = {int(each.shape[-1]) for each in last}
        if columns == {len(labels)}:
            return {id(each) for each in last}
    raise _ColdError(
        "the labels have changed, and the network does not end with a dense layer that has a bias, whose columns "
        "could be taken over"
    )


def _joined(variable: Any, old: NDArray[Any], *, labels: Sequence[str], old_labels: Sequence[str]) -> NDArray[Any]:
    """The columns of the labels that both have from `old`, the other ones from the new network."""
    import keras

    if (*variable.shape[:-1], len(old_labels)) != old.shape:
        raise _other_shape(variable, old)
    new = np.array(keras.ops.convert_to_numpy(variable))
    position = {label: index for index, label in enumerate(old_labels)}
    for index, label in enumerate(labels):
        if label in position:
            new[..., index] = old[..., position[label]]
    return new


def _other_shape(variable: Any, old: NDArray[Any]) -> _ColdError:
    return _ColdError(
        f"the serving version has another network: {variable.path} has the shape {tuple(variable.shape)}, and "
        f"{old.shape} there"
    )
