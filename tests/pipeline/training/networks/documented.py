"""The page about training, and its section about networks."""

import re
from pathlib import Path

_PAGE = Path(__file__).parents[4] / "docs" / "training.md"


def section() -> str:
    """The text of the section about networks, up to the next one."""
    return _text().partition("\n## Networks\n")[2].partition("\n## ")[0]


def documented_blocks(language: str) -> list[str]:
    """The blocks of code of that section, in a language."""
    return _blocks(language, section())


def blocks_of_page(language: str) -> list[str]:
    """Those of the whole page."""
    return _blocks(language, _text())


def _blocks(language: str, text: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def _text() -> str:
    return _PAGE.read_text(encoding="utf-8")
