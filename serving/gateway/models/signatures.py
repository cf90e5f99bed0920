"""What the versions of a model can be asked: each version says it once."""

from collections import OrderedDict

from serving.client import AsyncClient
from serving.errors import DiscoveryError, ServingError
from serving.gateway.errors import GatewayError, of_serving
from serving.gateway.models.target import Target
from serving.messages import Metadata

# More versions than servers keep loaded.
_MOST_VERSIONS = 16


class Signatures:
    """The metadata of a model's versions. Belongs to one event loop.

    A label moves from version to version. An answer shows that it has moved, see `observe`; or a request may have been
    refused for that reason, see `has_moved`.

    Args:
        client: of the model.
        model: its name.
    """

    def __init__(self, client: AsyncClient, model: str) -> None:
        self._client = client
        self._model = model
        self._versions: OrderedDict[int, Metadata] = OrderedDict()
        self._labelled: dict[str | None, int] = {}

    def known(self, target: Target) -> Metadata | None:
        """What is known of this version, or of the one last seen behind the label; None if it must be fetched."""
        number = self._labelled.get(target.label) if target.version is None else target.version
        return None if number is None else self._versions.get(number)

    async def fetch(self, target: Target) -> Metadata:
        """Ask a replica.

        Raises:
            GatewayError: the model servers did not answer.
        """
        try:
            metadata = await self._client.metadata(self._model, version=target.version, label=target.label)
        except (ServingError, DiscoveryError) as error:
            raise of_serving(error, self._model, version=target.version) from error
        self._versions[metadata.version] = metadata
        self._versions.move_to_end(metadata.version)
        while len(self._versions) > _MOST_VERSIONS:
            self._versions.popitem(last=False)
        if target.version is None:
            self._labelled[target.label] = metadata.version
        return metadata

    async def get(self, target: Target) -> Metadata:
        """What is known, or else what a replica says.

        Raises:
            GatewayError: the model servers did not answer.
        """
        return self.known(target) or await self.fetch(target)

    async def has_moved(self, target: Target, *, before: Metadata | None) -> bool:
        """Whether a label is on another version than before, according to a replica; False if none answers.

        To be asked when a request was refused for which `before` was known already: it may have been right.
        """
        if before is None or target.version is not None:
            return False
        try:
            return (await self.fetch(target)).version != before.version
        except GatewayError:
            return False

    def observe(self, target: Target, version: int) -> None:
        """A request for the target was answered by this version."""
        if target.version is None and self._labelled.get(target.label) != version:
            self._labelled.pop(target.label, None)
