"""A program for the tests: which damaged images Pillow and the served graph decode. Prints differences as JSON."""

import io
import json
import random
from collections.abc import Iterator

from PIL import Image as Picture

from pipeline.data.image_files import decoding_problem
from pipeline.spec import Image
from pipeline.training.preprocessing import decoded

SIZE = (20, 15)


def encoded(mode: str, kind: str, **options: bool) -> bytes:
    stream = io.BytesIO()
    picture = Picture.effect_noise(SIZE, 60)
    picture.convert(mode).save(stream, kind, **options)
    return stream.getvalue()


ORIGINALS = {
    **{f"PNG {mode}": encoded(mode, "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA")},
    **{f"JPEG {mode}": encoded(mode, "JPEG") for mode in ("L", "RGB", "CMYK")},
    "JPEG progressive": encoded("RGB", "JPEG", progressive=True),
}


def damaged(content: bytes) -> Iterator[tuple[str, bytes]]:
    yield "whole", content
    for missing in (*range(1, 24), len(content) // 3, len(content) // 2):
        yield f"without the last {missing} bytes", content[:-missing]
    dice = random.Random(1)  # noqa: S311 - the same bytes each time
    for _ in range(20):
        position = dice.randrange(20, len(content))
        yield (
            f"byte {position} turned",
            bytes([*content[:position], content[position] ^ 0xFF, *content[position + 1 :]]),
        )


def graph_decodes(content: bytes, image: Image) -> bool:
    import tensorflow as tf

    try:
        decoded(content, image)
    except tf.errors.OpError:
        return False
    return True


def main() -> None:
    differing, refused = [], 0
    for name, original in ORIGINALS.items():
        for damage, content in damaged(original):
            for channels in (1, 3):
                problem = decoding_problem(content, channels=channels)
                refused += problem is not None
                if (problem is None) != graph_decodes(content, Image(height=4, width=4, channels=channels)):
                    differing.append(f"{name} {damage}, {channels} channels: {problem}")
    print(json.dumps({"differing": differing, "refused": refused}))  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main()
