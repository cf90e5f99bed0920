"""A network that was trained elsewhere, wrapped so that it is exported, judged and served like one trained here."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import BadInputError
from pipeline.spec import Image, Imported
from pipeline.training.exporting.equality import require_equal
from pipeline.training.exporting.export import export
from pipeline.training.exporting.import_checks import label_problem
from pipeline.training.exporting.import_files import is_keras, local_model
from pipeline.training.exporting.imported_parts import Loaded
from pipeline.training.exporting.keras_files import load_keras
from pipeline.training.exporting.saved_models import load_saved_model

# Why a folder must not be loaded, as `pipeline.safety.scan.operation_problems` says it.
Scan = Callable[[Path], Sequence[str]]

_TRIED = 8
# By how much the sum of probabilities may differ from 1, also of a network that computes in 16 bits.
_SUM_TOLERANCE = 1e-2
# Outputs that add up to 1 as exactly as this on random images are no logits.
_SURE = 1e-4


class ImportedNetwork:
    """A loaded network from pixels in [0, 1] to probabilities in the order of the snapshot's labels, for `export`.

    Attributes:
        variables: all that it reads.
        resources: what else it reads, such as tables.
    """

    def __init__(self, loaded: Loaded, imported: Imported, labels: Sequence[str]) -> None:
        self.variables, self.resources = loaded.variables, loaded.resources
        self._run = loaded.run
        self._imported = imported
        self._order = [imported.labels.index(label) for label in labels]

    def __call__(self, pixels: Any, *, training: bool = False) -> Any:
        """Probabilities, float32 (batch, classes), of pixels, float32 (batch, height, width, channels)."""
        import tensorflow as tf

        assert not training, "an imported network is not trained"
        outputs = self.outputs(pixels)
        if self._imported.outputs == "logits":
            outputs = tf.nn.softmax(outputs)
        return tf.gather(outputs, self._order, axis=-1)

    def outputs(self, pixels: Any) -> Any:
        """What the network itself gives, float32 (batch, classes), in the order of its own labels."""
        import tensorflow as tf

        return tf.cast(self._run(_scaled(tf.convert_to_tensor(pixels), self._imported.pixels)), tf.float32)


def _scaled(pixels: Any, wanted: str) -> Any:
    if wanted == "0..255":
        return pixels * 255.0
    return pixels * 2.0 - 1.0 if wanted == "-1..1" else pixels


def imported_network(
    imported: Imported, image: Image, *, labels: Sequence[str], scratch: Path, seconds: float, scan: Scan
) -> ImportedNetwork:
    """Fetch, check and load a network that was trained elsewhere.

    Args:
        imported: the part of the model file.
        image: the size and the channels of the images.
        labels: of the snapshot, in its order.
        scratch: an empty folder of this machine, which is needed until the network is exported.
        seconds: for how long a call to a store that failed with a transient error is retried.
        scan: called with a SavedModel before it is loaded.

    Raises:
        BadInputError: the model, its digest, labels, inputs or outputs are not what the model file says, or a
            SavedModel would do more than compute.
        StorageError: the storage of the model gives no answer.
    """
    wrong_labels = label_problem(imported.labels, labels)
    if wrong_labels:
        raise BadInputError(wrong_labels)
    path = local_model(imported, scratch, seconds=seconds)
    if is_keras(imported):
        loaded = load_keras(path, model=imported.model, image=image, labels=imported.labels)
    else:
        problems = scan(path)
        if problems:
            raise BadInputError(f"import.model: {imported.model} is refused: {'; '.join(problems)}")
        name, signature = imported.model, imported.signature
        loaded = load_saved_model(path, model=name, signature=signature, image=image, labels=imported.labels)
    network = ImportedNetwork(loaded, imported, labels)
    _try(network, imported, image)
    return network


def import_model(
    imported: Imported,
    folder: Path,
    *,
    name: str,
    image: Image,
    labels: Sequence[str],
    warmup: Sequence[bytes],
    compared: Sequence[bytes],
    seconds: float,
    scan: Scan,
) -> float:
    """Export a network that was trained elsewhere as a SavedModel that servers load, and compare the two.

    Args:
        imported: the part of the model file.
        folder: where to write; it must not exist, and its parent must.
        name: of the model, for the warm-up requests.
        image: the size and the channels of the images.
        labels: of the snapshot, in its order.
        warmup: encoded images for the warm-up requests; at least one.
        compared: encoded images for `require_equal`; at least one.
        seconds: for how long a call to a store that failed with a transient error is retried.
        scan: called with a SavedModel before it is loaded.

    Returns:
        The largest difference of a probability between the network and its export.

    Raises:
        BadInputError, StorageError: as `imported_network`.
        FailedError: the export does not answer as the network does.
    """
    with tempfile.TemporaryDirectory() as scratch:
        network = imported_network(imported, image, labels=labels, scratch=Path(scratch), seconds=seconds, scan=scan)
        export(network, folder, name=name, image=image, labels=labels, warmup=warmup)
        return require_equal(network, folder, compared, image=image)


def _try(network: ImportedNetwork, imported: Imported, image: Image) -> None:
    """Run it on random images: whether it runs at all, and whether it gives what `import.outputs` says."""
    random = np.random.default_rng(0).random((_TRIED, image.height, image.width, image.channels), np.float32)
    try:
        outputs = np.asarray(network.outputs(random))
    except Exception as error:  # whatever an operation raises that does not take the images
        raise BadInputError(
            f"import.model: {imported.model} cannot be run on images of {image.height}x{image.width}x{image.channels}: "
            f"{error}"
        ) from error
    if outputs.shape != (_TRIED, len(imported.labels)):
        raise BadInputError(
            f"import.model: {imported.model} gives outputs of shape {outputs.shape} for {_TRIED} images, not a number "
            f"for each of the {len(imported.labels)} labels in `import.labels`"
        )
    if not np.isfinite(outputs).all():
        # `evaluate` refuses it, and names the weights.
        return
    off, least = float(np.abs(outputs.sum(axis=1) - 1).max()), float(outputs.min())
    if imported.outputs == "logits":
        if off <= _SURE and least >= 0:
            raise BadInputError(
                f"import.outputs: the outputs of {imported.model} are at least 0 and add up to 1 for each image, so "
                f"they are not logits. Write `outputs: probabilities`"
            )
    elif off > _SUM_TOLERANCE or least < -_SUM_TOLERANCE:
        raise BadInputError(
            f"import.outputs: the outputs of {imported.model} are no probabilities: the lowest is {least:.3g}, "
            f"and sums differ from 1 by up to {off:.3g}. If the network ends without a softmax, write `outputs: logits`"
        )
