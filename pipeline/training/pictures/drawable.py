"""Text that matplotlib's font can draw. It warns of characters that it lacks, and a warning helps nobody."""

import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

_LONGEST = 24
_NOT_DRAWABLE = "□"


def shown(labels: Sequence[str]) -> list[str]:
    """What a picture shows of each label: the label, or its drawable characters and its class number."""
    return [shown_label(label, number) for number, label in enumerate(labels)]


def shown_label(label: str, number: int, *, longest: int = _LONGEST) -> str:
    """Likewise, of one label and its class number; `longest` without the number."""
    text = drawable_text(label, longest=longest)
    return text if text == label else f"{text} #{number}"


def drawable_text(text: str, *, longest: int) -> str:
    """The text in one line, at most so long; what the font cannot draw is an empty square."""
    is_drawable = _drawable()
    composed = unicodedata.normalize("NFC", text)
    drawn = "".join(each if each.isprintable() and is_drawable(each) else _NOT_DRAWABLE for each in composed)
    return drawn if len(drawn) <= longest else f"{drawn[: longest - 1]}…"


@lru_cache(maxsize=1)
def _drawable() -> Callable[[str], bool]:
    """Whether the font has a glyph for a character."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font: Any = get_font(findfont(FontProperties()))
    return lambda character: font.get_char_index(ord(character)) != 0
