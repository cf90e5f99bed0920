"""What can be said about the network of a model file without Keras."""

from pathlib import Path

from pipeline.errors import BadInputError
from pipeline.spec import IMAGENET, Application, Network, OwnNetwork, Training
from pipeline.training.networks.modules import require_module
from pipeline.training.networks.published import PUBLISHED
from pipeline.training.networks.weights import digest_of, published_path, require_digest


def problems(training: Training) -> list[str]:
    """What would stop a training with this network, as messages for the user. Neither a network nor Keras is needed.

    A file of weights on this machine is read; one in a bucket is not.
    """
    network = training.network
    if isinstance(network, OwnNetwork):
        problem = require_module(network.function.partition(":")[0])
        return [problem] if problem else []
    if isinstance(network, Application) and network.weights not in (None, IMAGENET):
        return _problems_of_file(network, str(network.weights))
    return []


def download_notice(network: Network, cache: Path) -> str | None:
    """That a training has to download weights first, and what to do without a network; None if it need not.

    Args:
        network: which one.
        cache: where the training keeps them, see `local_weights`.
    """
    if not isinstance(network, Application) or network.weights != IMAGENET:
        return None
    target = published_path(network, cache)
    if target.exists():
        return None
    return (
        f"The training begins with the download of {PUBLISHED[network.name].url}. Where it runs without a "
        f"network, copy that file to {target} before"
    )


def _problems_of_file(network: Application, weights: str) -> list[str]:
    if "://" in weights:
        if network.sha256 is not None:
            return []
        return [
            f"training.network.sha256 is missing. It says with which weights a run began. Add the first word that "
            f"`sha256sum` prints for a copy of {weights}"
        ]
    try:
        require_digest(network, digest_of(weights))
    except BadInputError as error:
        return [str(error)]
    return []
