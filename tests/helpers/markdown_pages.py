"""What a Markdown page has: its blocks of code, its links, its tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n(?:<!-- not run: (.+?) -->)?", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A block of code: its language, its text, its line, and why it is not run, if it is not."""

    language: str
    text: str
    line: int
    not_run: str | None


def blocks(page: Path) -> list[Block]:
    """Return a page's blocks of code."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(found[1], found[2], text.count("\n", 0, found.start()) + 1, found[3])
        for found in _BLOCK.finditer(text)
    ]


def links(page: Path) -> list[str]:
    """Return where a page's links and pictures lead, in their order."""
    return re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8"))


def table_links(page: Path) -> list[list[str]]:
    """Return the links in each row of a page's tables."""
    lines = page.read_text(encoding="utf-8").splitlines()
    return [re.findall(r"\]\(([^)]+)\)", line) for line in lines if line.startswith("|")]
