"""A program for the tests: damage images, and compare what a snapshot and the served graph say of them.

Prints the differences as JSON. Arguments: the seed, and how many bytes are turned in each image. In the segments of a
JPEG before its scan, a snapshot may refuse more: Pillow needs them in order, and libjpeg looks for the next one.
"""

import io
import json
import random
import struct
import sys
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from PIL import Image as Picture
from PIL.PngImagePlugin import PngInfo

from pipeline.data.decoding import served_decoder
from pipeline.data.decoding.image_files import read_image
from pipeline.data.source import UnreadableError
from pipeline.spec import Image
from pipeline.training.preprocessing import decoded
from serving.images import prepare

SIZE = (20, 15)


def encoded(mode: str, kind: str, size: tuple[int, int] = SIZE, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture = Picture.effect_noise(size, 60)
    picture.convert(mode).save(stream, kind, **options)
    return stream.getvalue()


def interlaced() -> bytes:
    """An RGB PNG of one pixel for each pass of Adam7 that an image of 2 x 2 has."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"\0" + bytes(3) + b"\0" + bytes(3) + b"\0" + bytes(6)
    header = struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def with_text() -> bytes:
    """A PNG with the chunks that programs add and no decoder needs."""
    text = PngInfo()
    text.add_text("Title", "a few words, so that bytes of them are hit")
    text.add_itxt("Comment", "compressed " * 9, zip=True)
    return encoded("RGB", "PNG", pnginfo=text, dpi=(72, 72))


def originals() -> dict[str, bytes]:
    exif = Picture.Exif()
    exif[0x0112] = 1
    return {
        **{f"PNG {mode}": encoded(mode, "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA")},
        **{f"JPEG {mode}": encoded(mode, "JPEG") for mode in ("L", "RGB", "CMYK")},
        "PNG with text": with_text(),
        "PNG interlaced": interlaced(),
        "PNG of many chunks": encoded("RGB", "PNG", (200, 160)),
        "JPEG progressive": encoded("RGB", "JPEG", progressive=True),
        "JPEG larger": encoded("RGB", "JPEG", (200, 160), quality=90),
        "JPEG with restarts": encoded("RGB", "JPEG", (64, 64), restart_marker_blocks=2),
        "JPEG with metadata": encoded("RGB", "JPEG", exif=exif, icc_profile=bytes(300), comment="a few words"),
        "JPEG of two pictures": encoded("RGB", "MPO", save_all=True, append_images=[Picture.new("RGB", SIZE)]),
    }


def damaged(content: bytes, dice: random.Random, turns: int) -> Iterator[tuple[str, bytes]]:
    yield "whole", content
    for missing in (*range(1, 24), len(content) // 3, len(content) // 2):
        yield f"without the last {missing} bytes", content[:-missing]
    for _ in range(turns):
        yield (f"cut at {(cut := dice.randrange(len(content)))}", content[:cut])
        position, mask = dice.randrange(8, len(content)), dice.randrange(1, 256)
        turned = bytes([*content[:position], content[position] ^ mask, *content[position + 1 :]])
        yield f"byte {position} turned by {mask}", turned


@cache
def graph(channels: int) -> Any:
    """The preprocessing of the served graph, traced as it is for an export."""
    import tensorflow as tf

    image = Image(height=4, width=4, channels=channels)
    return tf.function(lambda content: decoded(content, image), input_signature=[tf.TensorSpec([], tf.string)])


def graph_decodes(content: bytes, channels: int) -> bool:
    import tensorflow as tf

    try:
        graph(channels)(content)
    except tf.errors.OpError:
        return False
    return True


def problem(content: bytes, channels: int) -> str | None:
    try:
        stored = read_image(content, channels=channels)
    except UnreadableError as error:
        return str(error)
    assert graph_decodes(stored.content, channels), "what is stored can be decoded"
    return None


def difference(original: bytes, content: bytes, *, is_cmyk: bool) -> str | None:
    """What a snapshot says where the two differ. TensorFlow has no grey of CMYK, which is converted."""
    scan = original.find(b"\xff\xda") if original.startswith(b"\xff\xd8") else 0
    may_refuse = len(content) == len(original) and content[:scan] != original[:scan]
    for channels in (3,) if is_cmyk else (1, 3):
        found = problem(content, channels)
        if (found is None) != graph_decodes(content, channels) and not (found and may_refuse):
            return f"{channels} channels: {found}"
    return None


def served_attributes() -> list[dict[str, Any]]:
    """The attributes of the decoding operation: as the graph that is served has them, and as a snapshot's graph."""
    served = graph(3).get_concrete_function().graph.as_graph_def()
    graphs = (served, served_decoder.graph().meta_graphs[0].graph_def)
    return [
        next(
            {name: str(value) for name, value in node.attr.items() if not name.startswith("_")}
            for node in graph.node
            if node.op == "DecodeImage" and node.attr["channels"].i == 3
        )
        for graph in graphs
    ]


def pixel_differences() -> dict[str, int]:
    """The largest difference of a pixel between Pillow and TensorFlow, for what is stored for each whole original."""
    import tensorflow as tf

    largest = {"PNG": 0, "JPEG": 0}
    for name, original in originals().items():
        if "larger" in name or "restarts" in name or not name.startswith("JPEG"):
            prepared = prepare(original)
            served = tf.io.decode_image(prepared.content, channels=3).numpy().astype(int)
            difference = np.abs(served - np.asarray(prepared.picture.convert("RGB"))).max()
            kind = name.split()[0]
            largest[kind] = max(largest[kind], int(difference))
    return largest


def is_bounded_only() -> bool:
    """Whether the limit on pixels changes no pixel: those of `decoded` are those of the same steps without it."""
    import tensorflow as tf

    def unbounded(content: Any, channels: int) -> Any:
        pixels = tf.io.decode_image(content, channels=channels, expand_animations=False)
        return tf.image.resize(pixels, (4, 4), antialias=True) / 255.0

    # Traced as well: TensorFlow optimises a graph, which changes the last bit.
    traced = tf.function(unbounded)
    stored = [read_image(original, channels=3).content for original in originals().values()]
    return all(
        bool(tf.reduce_all(traced(content, channels) == graph(channels)(content)))
        for channels in (1, 3)
        for content in stored
    )


def main(seed: int, turns: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - the same bytes each time
    differing, refused, usable = [], 0, 0
    for name, original in originals().items():
        for damage, content in damaged(original, dice, turns):
            found = difference(original, content, is_cmyk="CMYK" in name)
            if found is not None:
                differing.append(f"{name} {damage}, {found}")
            is_refused = problem(content, 3) is not None
            refused, usable = refused + is_refused, usable + (not is_refused)
    seen = {"differing": differing, "refused": refused, "usable": usable, "attributes": served_attributes()}
    seen["is_bounded_only"] = is_bounded_only()
    seen["pixels"] = pixel_differences()
    print(json.dumps(seen))  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
