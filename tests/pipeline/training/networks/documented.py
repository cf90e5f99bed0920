"""The section about networks in the documents."""

import re
from pathlib import Path

_PAGE = Path(__file__).parents[4] / "docs" / "training.md"


def section() -> str:
    """Its text, up to the next section."""
    return _PAGE.read_text(encoding="utf-8").partition("\n## Networks\n")[2].partition("\n## ")[0]


def documented_blocks(language: str) -> list[str]:
    """Its blocks of code in a language."""
    return re.findall(rf"```{language}\n(.*?)```", section(), re.DOTALL)
