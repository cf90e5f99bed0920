"""Real model servers for a gateway: the embedded server with a classifier that decodes pictures without TensorFlow.

It names a picture by its brightness: black is `0`, white is `3`. It decodes PNG and JPEG, and refuses other bytes as
TensorFlow does.
"""

import io
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from PIL import Image

from serving.model_server.flags import parse_flags
from serving.model_server.lifecycle.servable import ServableId
from serving.model_server.server import Server
from serving.server_flags import ConfigSource, replica_flags
from tests.fleet import LABELS, Classifier, write_classifier
from tests.ports import free_port

MODEL = "digits"


class PictureClassifier(Classifier):
    """See the module. `shift` and `milliseconds` as in `Classifier`."""

    def answer(self, image: bytes) -> tuple[list[float], bytes]:
        try:
            with Image.open(io.BytesIO(image), formats=("PNG", "JPEG")) as picture:
                grey = picture.convert("L").resize((1, 1))
        except Exception as error:  # Pillow has no common base for what damaged files make it raise
            raise ValueError("not an image") from error
        return super().answer(LABELS[int(grey.tobytes()[0]) * len(LABELS) // 256].encode())


def png(brightness: int = 255, *, size: tuple[int, int] = (8, 8), **options: object) -> bytes:
    """A grey PNG; `options` are those of Pillow's `save`, `format` among them."""
    stream = io.BytesIO()
    Image.new("L", size, brightness).save(stream, **({"format": "PNG"} | options))  # type: ignore[arg-type]
    return stream.getvalue()


def load(_: ServableId, path: str) -> PictureClassifier:
    """What the server calls to load a version."""
    return PictureClassifier(**json.loads((Path(path) / "classifier.json").read_text()))


@contextmanager
def picture_servers(
    folder: Path,
    *,
    count: int = 1,
    model: str = MODEL,
    versions: tuple[int, ...] = (1,),
    stable: int = 1,
    **settings: object,
) -> Iterator[list[str]]:
    """The addresses of running servers with these versions, of which `stable` has the label."""
    for version in versions:
        write_classifier(folder / model / str(version), **settings)
    numbers = " ".join(f"versions: {version}" for version in versions)
    config = folder / f"{model}.config"
    config.write_text(
        f'model_config_list {{ config {{ name: "{model}" base_path: "{folder / model}" model_platform: "tensorflow"\n'
        f"model_version_policy {{ specific {{ {numbers} }} }}\n"
        f'version_labels {{ key: "stable" value: {stable} }} }} }}\n'
    )
    with ExitStack() as stack:
        yield [stack.enter_context(_running(config)) for _ in range(count)]


@contextmanager
def _running(config: Path) -> Iterator[str]:
    port, rest_port = free_port(), free_port()
    words = replica_flags(ConfigSource(uri=str(config)), port=port, rest_port=rest_port)
    server = Server(replace(parse_flags(words), host="127.0.0.1"), load)
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop()
