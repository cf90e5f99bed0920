"""What the versions of a model can be asked: each version says it once."""

from collections import OrderedDict

from serving.client import AsyncClient
from serving.errors import DiscoveryError, ServingError
from serving.messages import Metadata

# More versions than servers keep loaded.
_MOST_VERSIONS = 16


class Signatures:
    """The metadata of a model's versions. Belongs to one event loop.

    A label moves from version to version. An answer shows that it has moved, see `answered`; or a refusal may have been
    for that, see `moved`.

    Args:
        client: of the model.
        model: its name.
    """

    def __init__(self, client: AsyncClient, model: str) -> None:
        self._client = client
        self._model = model
        self._versions: OrderedDict[int, Metadata] = OrderedDict()
        self._labelled: dict[str | None, int] = {}

    def known(self, *, version: int | None, label: str | None) -> Metadata | None:
        """What is known of this version, or of the one last seen behind the label; None if it must be asked for."""
        number = self._labelled.get(label) if version is None else version
        return None if number is None else self._versions.get(number)

    async def asked(self, *, version: int | None, label: str | None) -> Metadata:
        """Ask a replica.

        Raises:
            ServingError, DiscoveryError: no replica could say it.
        """
        metadata = await self._client.metadata(self._model, version=version, label=label)
        self._versions[metadata.version] = metadata
        self._versions.move_to_end(metadata.version)
        while len(self._versions) > _MOST_VERSIONS:
            self._versions.popitem(last=False)
        if version is None:
            self._labelled[label] = metadata.version
        return metadata

    async def of(self, *, version: int | None, label: str | None) -> Metadata:
        """What is known, or else what a replica says.

        Raises:
            ServingError, DiscoveryError: no replica could say it.
        """
        return self.known(version=version, label=label) or await self.asked(version=version, label=label)

    async def moved(self, *, version: int | None, label: str | None, before: Metadata | None) -> bool:
        """Whether a label is on another version than before, according to a replica; False if none answers.

        To be asked when a request was refused for which `before` was known already: it may have been right.
        """
        if before is None or version is not None:
            return False
        try:
            return (await self.asked(version=None, label=label)).version != before.version
        except (ServingError, DiscoveryError):
            return False

    def answered(self, label: str | None, version: int) -> None:
        """A request for the label was answered by this version."""
        if self._labelled.get(label) != version:
            self._labelled.pop(label, None)
