"""The Chinese README says what the English one says."""

from __future__ import annotations

import re

from locations import REPOSITORY
from markdown_pages import blocks, links, table_links

ENGLISH, CHINESE = REPOSITORY / "README.md", REPOSITORY / "README.zh-CN.md"


def without_comments(text: str) -> str:
    return re.sub(r"\s+#.*", "", text)


def test_both_have_the_same_commands_and_snippets() -> None:
    of_both = [
        [(block.language, without_comments(block.text)) for block in blocks(page)]
        for page in (ENGLISH, CHINESE)
    ]
    assert of_both[0] == of_both[1]
    assert len(of_both[0]) >= 2


def test_both_name_the_same_commands_and_files_in_their_text() -> None:
    named = [
        re.findall(r"`[^`\n]+`", page.read_text(encoding="utf-8")) for page in (ENGLISH, CHINESE)
    ]
    assert named[0] == named[1]


def test_the_rows_of_their_tables_lead_to_the_same_pages() -> None:
    assert table_links(ENGLISH) == table_links(CHINESE)
    assert len(table_links(ENGLISH)) >= 6


def test_both_lead_to_the_same_pages_and_to_each_other() -> None:
    english, chinese = links(ENGLISH), links(CHINESE)
    assert english[0] == CHINESE.name
    assert chinese[0] == ENGLISH.name
    assert english[1:] == chinese[1:]
    assert all((REPOSITORY / link).exists() for link in english)


def test_the_readme_is_one_screen() -> None:
    assert len(ENGLISH.read_text(encoding="utf-8").splitlines()) <= 60
