"""A SavedModel in a folder of this machine, loaded as a model server loads it: by the C library, and warmed up."""

import logging
from pathlib import Path

from serving.inference.tfrecord import read_records
from serving.inference.warmup import FILE, FOLDER, warm_up
from serving.tensorflow.saved_model import SavedModel, open_session

logger = logging.getLogger(__name__)


def load_local_model(folder: Path) -> SavedModel:
    """Load the graph with the tag `serve` and replay its warm-up requests. The folder is not needed afterwards.

    Raises:
        StatusError: a server could not load it either: with the text of TensorFlow's loader, or with that of the
            warm-up request that failed.
    """
    model = SavedModel(open_session(folder))
    try:
        requests = folder / FOLDER / FILE
        if requests.exists():
            count = warm_up(model, read_records(requests), path=str(requests))
            logger.info("%s: %d warm-up requests answered", folder, count)
    except BaseException:
        model.close()
        raise
    return model
