"""The rules of docs/images.md: what is kept, what is converted to what, and what is refused in which words."""

import io
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops

from serving.images import MOST_PIXELS, RULES, ImageError, prepare, read_header
from serving.images.png_chunks import checked_chunks
from tests import pictures
from tests.hunts import hunt
from tests.pictures import chunk, encoded, noise, photograph, png

UPRIGHT = 1
ORIENTATION = 0x0112
WHITE, RED = (255, 255, 255), (255, 0, 0)
UNSHARP = 10  # of 255: what JPEG of quality 95 may change in a soft picture


def oriented(number: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = number
    return exif


def stored(content: bytes) -> Image.Image:
    """What is stored for a file, decoded as a program of somebody else would."""
    prepared = prepare(content)
    with Image.open(io.BytesIO(prepared.content)) as picture:
        picture.load()
    assert {"PNG": ".png", "JPEG": ".jpg", "MPO": ".jpg"}[picture.format or ""] == prepared.suffix
    assert picture.size == (prepared.width, prepared.height) == prepared.picture.size
    assert picture.mode == prepared.picture.mode
    return picture


def difference(one: Image.Image, other: Image.Image) -> int:
    """The largest difference of any channel of any pixel."""
    assert (one.mode, one.size) == (other.mode, other.size)
    return int(max(high for _, high in ImageChops.difference(one, other).convert("RGB").getextrema()))  # type: ignore[misc]


@pytest.mark.parametrize(
    "content",
    [
        encoded(noise("L"), "PNG"),
        encoded(noise("RGB"), "PNG"),
        encoded(noise("RGB"), "PNG", icc_profile=bytes(200), dpi=(72, 72), exif=oriented(UPRIGHT)),
        encoded(noise("RGB"), "PNG", save_all=True, append_images=[noise("RGB", seed=1)]),
        encoded(noise("L"), "JPEG"),
        encoded(noise("RGB"), "JPEG"),
        encoded(noise("RGB"), "JPEG", progressive=True),
        encoded(noise("RGB"), "JPEG", exif=oriented(UPRIGHT), icc_profile=bytes(200)),
        encoded(noise("RGB"), "JPEG", exif=oriented(99)),
        encoded(noise("RGB"), "MPO", save_all=True, append_images=[noise("RGB", seed=1)]),
    ],
    ids=str.split("L RGB metadata animated JPEG-L JPEG-RGB progressive JPEG-metadata no-orientation MPO"),
)
def test_what_servers_decode_exactly_is_kept_byte_for_byte(content: bytes) -> None:
    prepared = prepare(content)

    assert content == prepared.content
    assert not prepared.is_converted
    with Image.open(io.BytesIO(content)) as picture:
        assert 0 == difference(picture.convert(prepared.picture.mode), prepared.picture)


@pytest.mark.parametrize("kind", ["WEBP", "BMP", "GIF", "TIFF"])
def test_other_formats_become_a_png_of_the_same_pixels(kind: str) -> None:
    picture = noise("RGB").quantize(200).convert("RGB")
    content = encoded(picture, kind, **({"lossless": True} if kind == "WEBP" else {}))

    assert prepare(content).is_converted
    assert 0 == difference(picture, stored(content))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF"])
def test_of_an_animation_or_of_pages_the_first_is_taken(kind: str) -> None:
    first, second = Image.new("RGB", (8, 6), RED), Image.new("RGB", (8, 6), WHITE)
    content = encoded(
        first, kind, save_all=True, append_images=[second], **({"lossless": True} if kind == "WEBP" else {})
    )

    assert 0 == difference(first, stored(content))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_exif_orientation_is_applied_to_the_pixels(kind: str, orientation: int) -> None:
    """The top left corner of the upright picture is red, its top right one is white; the EXIF standard says where."""
    upright = Image.new("RGB", (32, 24), "black")
    upright.paste(RED, (0, 0, 16, 8))
    upright.paste(WHITE, (16, 0, 32, 8))
    # How a camera stores the upright picture, so that viewers must turn it as its number says.
    inverse = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    content = encoded(upright.transpose(Image.Transpose(inverse)), kind, exif=oriented(orientation))
    picture = stored(content)
    corners = np.asarray(picture)[3, [7, 24]]

    assert upright.size == picture.size
    assert prepare(content).is_converted
    assert [RED, WHITE] == [tuple((corner > 127) * 255) for corner in corners]
    assert upright.size == (read_header(content).width, read_header(content).height)


def test_a_rotated_jpeg_stays_a_jpeg_of_high_quality_without_its_orientation() -> None:
    picture = photograph()
    content = encoded(picture, "JPEG", quality=95, subsampling=0, exif=oriented(3), comment="x", icc_profile=b"profile")
    prepared = prepare(content)

    assert ".jpg" == prepared.suffix
    assert difference(picture.transpose(Image.Transpose.ROTATE_180), stored(content)) <= UNSHARP
    assert [b"\xff\xe1", b"\xff\xe2", b"\xff\xfe"] == [
        m for m in (b"\xff\xe1", b"\xff\xe2", b"\xff\xfe") if m in content
    ]
    assert not any(marker in prepared.content[:200] for marker in (b"Exif", b"ICC_PROFILE", b"\xff\xfe"))


def test_the_orientation_of_a_png_counts_behind_its_pixels_too() -> None:
    exif = oriented(6).tobytes().removeprefix(b"Exif\0\0")
    content = png((3, 2), bytes(2 * (1 + 9)), bits=8, colours=2, behind=chunk(b"eXIf", exif))

    assert (2, 3) == stored(content).size


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_damaged_exif_data_counts_as_upright(kind: str) -> None:
    content = encoded(noise(), kind, exif=b"Exif\0\0II*\0" + b"\xff" * 40)

    assert not prepare(content).is_converted


@pytest.mark.parametrize("transform", [0, 2], ids=["CMYK", "YCCK"])
def test_a_cmyk_jpeg_becomes_rgb(transform: int) -> None:
    content = bytearray(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100))
    place = content.index(b"Adobe") + 11
    content[place] = transform
    picture = stored(bytes(content))

    assert "RGB" == picture.mode
    if transform == 0:
        assert difference(Image.new("RGB", (16, 16), RED), picture) <= UNSHARP


def test_what_is_transparent_becomes_white() -> None:
    half = Image.new("RGBA", (3, 1), (*RED, 255))
    half.putpixel((1, 0), (*RED, 128))
    half.putpixel((2, 0), (0, 0, 0, 0))

    for kind in ("PNG", "WEBP", "TIFF"):
        picture = stored(encoded(half, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {})))
        assert [RED, (255, 127, 127), WHITE] == [picture.getpixel((x, 0)) for x in range(3)], kind


def test_transparent_grey_stays_grey() -> None:
    picture = Image.new("LA", (2, 1), (0, 255))
    picture.putpixel((1, 0), (0, 51))

    assert ("L", [0, 204]) == (
        (shown := stored(encoded(picture, "PNG"))).mode,
        [shown.getpixel((x, 0)) for x in (0, 1)],
    )


def test_a_palette_becomes_rgb_and_its_transparent_colour_white() -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([*RED, 0, 0, 255])
    picture.putpixel((1, 0), 1)

    for kind in ("PNG", "GIF"):
        shown = stored(encoded(picture, kind))
        assert ("RGB", [RED, (0, 0, 255)]) == (shown.mode, [shown.getpixel((x, 0)) for x in (0, 1)])
        shown = stored(encoded(picture, kind, transparency=1))
        assert [RED, WHITE] == [shown.getpixel((x, 0)) for x in (0, 1)]


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_grey_of_few_bits_is_stretched_to_8_and_its_transparent_grey_is_white(bits: int) -> None:
    """A row of two pixels: black, and the brightest but for one bit, where there are more than two greys."""
    bright = max(2**bits - 2, 1)
    row = b"\0" + bytes([bright << 8 - 2 * bits])
    content = png((2, 1), row, bits=bits, colours=0)
    keyed = png((2, 1), row, bits=bits, colours=0, before=chunk(b"tRNS", struct.pack(">H", 0)))
    other = png((2, 1), row, bits=bits, colours=0, before=chunk(b"tRNS", struct.pack(">H", bright)))
    shade = bright * 255 // (2**bits - 1)

    assert [0, shade] == list(np.asarray(stored(content))[0])
    assert "L" == stored(content).mode
    assert [255, shade] == list(np.asarray(stored(keyed).convert("L"))[0])
    assert [0, 255] == list(np.asarray(stored(other).convert("L"))[0])


@pytest.mark.parametrize(("colours", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_of_16_bits_the_upper_8_are_kept(colours: int, channels: int) -> None:
    """Value 0x80FF is shown as 0x80; alpha is opaque."""
    pixel = struct.pack(">H", 0x80FF) * (channels - (colours > 2)) + (b"\xff\xff" if colours > 2 else b"")
    picture = stored(png((1, 1), b"\0" + pixel, bits=16, colours=colours))

    assert (0x80 if colours in (0, 4) else (0x80,) * 3) == picture.getpixel((0, 0))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("white", [0, 1])
def test_a_tiff_of_16_bits_is_reduced_in_either_byte_order(order: str, white: int) -> None:
    """By hand: Pillow writes one order only. `white` is tag 262: at 0, 0 is white, which Pillow reads in one order."""
    tags = [(256, 2), (257, 1), (258, 16), (259, 1), (262, white), (273, 8), (277, 1), (278, 1), (279, 4)]
    entries = b"".join(struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0) for tag, value in tags)
    pixels = struct.pack(f"{order}HH", 0x1234, 0xFEDC)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 12)
    content = head + pixels + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)
    if order == ">" and not white:
        with pytest.raises(ImageError, match="of a kind that cannot be read"):
            prepare(content)
        return

    assert ([0x12, 0xFE] if white else [0xED, 0x01]) == list(np.asarray(stored(content))[0])


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_that_hold_12_are_refused(kind: str) -> None:
    """Shown as they are, they would be nearly black; how far to stretch them, the file does not say."""
    picture = Image.fromarray(np.linspace(0, 4095, 300).astype(np.uint16).reshape(15, 20))

    with pytest.raises(ImageError, match="all its values are below 4096"):
        prepare(encoded(picture, kind))


def test_16_bit_colours_that_hold_12_are_refused() -> None:
    with pytest.raises(ImageError, match="all its values are below 4096"):
        prepare(png((1, 1), b"\0" + struct.pack(">HHH", 4095, 0, 9), bits=16, colours=2))


@pytest.mark.parametrize(
    ("reason", "content"),
    [
        ("holds floating-point values", encoded(noise("F"), "TIFF")),
        ("holds 32-bit or signed values", encoded(noise("I"), "TIFF")),
        (
            "has 16 bits and a transparent colour",
            png((1, 1), b"\0\xff\xff", bits=16, colours=0, before=chunk(b"tRNS", b"\0\1")),
        ),
        (r"is empty \(0 bytes\)", b""),
        ("is not a PNG, JPEG, WebP, BMP, GIF or TIFF image", b"a few words"),
        ("is not a PNG, JPEG, WebP, BMP, GIF or TIFF image", bytes(1000)),
        ("is a web page, not an image", b"\n<!DOCTYPE html><html><body>404</body></html>"),
        ("is a pointer of Git LFS", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n"),
        ("is a HEIC, AVIF or video file", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
        ("is cut off: its end is missing", encoded(noise(), "PNG")[:-1]),
        ("is cut off: its end is missing", encoded(noise(), "PNG")[:-12]),
        ("is cut off: its end is missing", encoded(noise(), "PNG")[:20]),
        ("is cut off: its end is missing", encoded(noise(), "JPEG")[:-1]),
        ("is cut off: its end is missing", encoded(noise(), "JPEG")[:-200]),
        ("is damaged in its first bytes, or of a kind that cannot be read", encoded(noise(), "JPEG")[:3]),
        ("is damaged: the checksum of its chunk 'IDAT' differs", encoded(noise(), "PNG").replace(b"IDATx", b"IDATy")),
        ("is cut off: its end is missing", encoded(noise(), "WEBP")[:-5]),
        ("is cut off: its end is missing", encoded(noise(), "BMP")[:-5]),
        ("is cut off: its end is missing", encoded(noise("P"), "GIF")[:-5]),
        ("is cut off: its end is missing", encoded(noise(), "TIFF")[:-5]),
        ("is damaged", b"RIFF\x10\0\0\0WEBPVP8 " + bytes(30)),
    ],
    ids=lambda value: value if isinstance(value, str) else "content",
)
def test_what_cannot_be_used_is_refused_with_the_reason(reason: str, content: bytes) -> None:
    with pytest.raises(ImageError, match=f"^{reason}") as raised:
        prepare(content)
    assert raised.value.args[0].count("\n") == 0


BOMBS = {
    "PNG": pictures.png_bomb,
    "JPEG": pictures.jpeg_bomb,
    "GIF": pictures.gif_bomb,
    "BMP": pictures.bmp_bomb,
    "WEBP": pictures.webp_bomb,
    "TIFF": pictures.tiff_bomb,
}


@pytest.mark.parametrize("read", [prepare, read_header])
@pytest.mark.parametrize("kind", BOMBS)
def test_a_decompression_bomb_is_refused_by_its_header(kind: str, read: Callable[[bytes], object]) -> None:
    content = BOMBS[kind]()

    assert len(content) < 50_000
    with pytest.raises(ImageError, match=r"^is too large: its header claims (400|256),000,000 pixels, the limit is 89"):
        read(content)


@pytest.mark.parametrize("kind", BOMBS)
def test_the_limit_is_on_the_pixels(kind: str) -> None:
    """One above the limit is refused, and one below it is not: its header can be read."""
    side = int(MOST_PIXELS**0.5)

    assert side == read_header(BOMBS[kind](side)).width
    with pytest.raises(ImageError, match=f"^is too large: its header claims {(side + 1) ** 2:,} pixels"):
        read_header(BOMBS[kind](side + 1))


@pytest.mark.parametrize("name", [b"iTXt", b"zTXt", b"iCCP"])
def test_text_and_profiles_that_unpack_to_much_are_refused(name: bytes) -> None:
    packed = zlib.compress(bytes(50_000_000), 9)
    data = b"x\0\1\0\0\0" + packed if name == b"iTXt" else b"x\0\0" + packed

    with pytest.raises(ImageError, match=r"^is too large: a text or colour profile in it unpacks to more than 1 MiB"):
        prepare(png((1, 1), bytes(4), bits=8, colours=2, before=chunk(name, data)))


def test_bombs_take_no_memory() -> None:
    """In a process of its own, whose largest size counts."""
    program = (
        "import resource; from tests.serving.test_images import BOMBS, noise, encoded; from serving.images import *\n"
        "def most(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "bombs = [make() for make in BOMBS.values()]; prepare(encoded(noise(), 'WEBP')); before = most()\n"
        "for bomb in bombs:\n"
        "    try: prepare(bomb)\n"
        "    except ImageError: pass\n"
        "print(most() - before)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert int(done.stdout) < 20


def test_a_damaged_text_in_a_png_does_not_matter() -> None:
    """As in libpng: no decoder needs it."""
    whole = encoded(noise(), "PNG")
    text = chunk(b"tEXt", b"Title\0words")
    content = whole[:33] + text[:-1] + bytes([text[-1] ^ 1]) + whole[33:]

    assert content == prepare(content).content


def test_damaged_texts_in_a_png_are_left_out_however_many_there_are() -> None:
    """A quadratic loop would take longer for so many of them than a test may take."""
    whole = encoded(noise(), "PNG")
    text = chunk(b"tEXt", b"abc")
    content = whole[:33] + (text[:-1] + bytes([text[-1] ^ 1])) * 800_000 + whole[33:]

    assert whole == checked_chunks(content)


def test_a_png_whose_size_is_not_in_its_first_chunk_is_converted() -> None:
    """The served graph refuses it: it looks for the size where the standard wants it."""
    whole = encoded(noise(), "PNG")
    content = whole[:8] + chunk(b"deCo", whole[16:29]) + whole[8:]

    assert whole == prepare(content).content


def test_the_page_about_images_names_the_rules_and_the_limit() -> None:
    page = (Path(__file__).parents[2] / "docs" / "images.md").read_text(encoding="utf-8")

    assert f"rules of version {RULES}, `serving.images.RULES`" in page
    assert 3 <= page.count(f"{MOST_PIXELS:,}") + page.count(str(MOST_PIXELS))


@pytest.mark.parametrize(
    "content",
    [
        encoded(photograph(), "JPEG", exif=oriented(6)),
        encoded(noise("RGBA"), "PNG"),
        encoded(noise("RGB"), "WEBP"),
        encoded(noise("CMYK"), "JPEG"),
    ],
)
def test_the_same_bytes_are_converted_to_the_same_bytes(content: bytes) -> None:
    assert prepare(content).content == prepare(content).content


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
def test_what_is_converted_is_kept_from_then_on(kind: str) -> None:
    content = prepare(encoded(noise(), kind)).content

    assert content == prepare(content).content


def test_to_import_the_rules_loads_no_library() -> None:
    program = "import sys, serving.images; print([m for m in ('PIL', 'numpy', 'tensorflow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()


def mangled(content: bytes, dice: random.Random) -> bytes:
    """A copy with up to four bytes changed, or cut."""
    changed = bytearray(content)
    for _ in range(dice.randrange(1, 5)):
        changed[dice.randrange(len(changed))] = dice.randrange(256)
    return bytes(changed[: dice.randrange(1, len(changed))] if dice.random() < 0.3 else changed)


@hunt
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
def test_whatever_is_damaged_is_refused_in_a_sentence_or_converted_to_something_whole(kind: str) -> None:
    dice = random.Random(kind)  # noqa: S311 - the same damage each time
    modes = {"PNG": ("1", "L", "LA", "P", "RGB", "RGBA"), "JPEG": ("L", "RGB", "CMYK"), "GIF": ("P", "L")}
    originals = [encoded(noise(mode), kind) for mode in modes.get(kind, ("RGB", "L"))]
    for _ in range(1500):
        try:
            prepared = prepare(mangled(dice.choice(originals), dice))
        except ImageError:
            continue
        assert not prepare(prepared.content).is_converted
