"""The requests that are sent, as bytes: made once, so that sending one costs next to nothing."""

import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import BadInputError
from pipeline.image_files import ImageFiles, read_image
from serving.images import ImageError, prepare

# A photograph of a few kilobytes more or less, as clients send it that resize before.
_SIDE = 224
_MOST_IMAGES = 256
_MOST_BYTES = 32 << 20
# Different requests of one batch size, so that a server that remembers answers does not win by that.
_VARIANTS = 8


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the requests are about.

    Attributes:
        model: its name on the server.
        version: exactly this one; None for the one behind `label`.
        label: a version label; None for the newest version.
        images: files as the served graph decodes them.
    """

    model: str
    version: int | None
    label: str | None
    images: Sequence[bytes]

    def requests(self, batch: int) -> list[bytes]:
        """Serialized PredictRequests with so many images, at least one."""
        from serving.messages import predict_request  # noqa: PLC0415 - gRPC and NumPy, when something is asked
        from serving.signature import inputs_of  # noqa: PLC0415 - likewise

        images = itertools.cycle(self.images)
        variants = max(1, min(_VARIANTS, len(self.images) // batch))
        return [
            predict_request(
                self.model, inputs_of(list(itertools.islice(images, batch))), version=self.version, label=self.label
            ).SerializeToString()
            for _ in range(variants)
        ]


def images_of(folder: Path | None) -> list[bytes]:
    """The first usable images of a folder, by name, as the served graph decodes them; without a folder a made one.

    Raises:
        BadInputError: the folder has no image that can be used.
    """
    if folder is None:
        return [_made_image()]
    images: list[bytes] = []
    for path in ImageFiles([folder]):
        try:
            images.append(prepare(read_image(path)).content)
        except (ImageError, OSError):
            continue  # `classify` says why
        if len(images) == _MOST_IMAGES or sum(map(len, images)) > _MOST_BYTES:
            break
    if not images:
        raise BadInputError(f"--images {folder} has no image that can be used; name a folder with PNG or JPEG files")
    return images


def _made_image() -> bytes:
    """A JPEG of grain on a gradient."""
    from PIL import Image  # noqa: PLC0415 - Pillow is imported when a picture is

    size = (_SIDE, _SIDE)
    gradient, grain = Image.radial_gradient("L").resize(size), Image.effect_noise(size, 40)
    picture = Image.merge("RGB", (gradient, Image.blend(gradient, grain, 0.3), grain))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=90)
    return stream.getvalue()
