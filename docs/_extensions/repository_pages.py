"""Takes pages from beside docs/ into the site, and mends links in them and to them.

Links between Markdown files are relative paths, which work on the repository's host. In the site
the pages of `PAGES` lie in another folder, so that their links and those to them are written anew.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

FOLDER = "generated/repository"

PAGES = {
    "CHANGELOG.md": "changelog",
    "CONTRIBUTING.md": "contributing",
    "SECURITY.md": "security",
    "docker/README.md": "docker",
    "examples/faces/README.md": "faces",
    "models/README.md": "models",
}
"""Paths in the repository, and names of pages in the site."""

_LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#]+)(?=[)#])")


def links_from(text: str, old: str, new: str) -> str:
    """Return a page's text with the links that it needs at another place.

    Parameters
    ----------
    text : str
        The page, in Markdown.
    old, new : str
        The folders, from the repository's root, that its links start from and are to start from.
    """

    def moved(link: re.Match[str]) -> str:
        target = os.path.normpath(PurePosixPath(old, link[1]))
        if target in PAGES:
            target = f"docs/{FOLDER}/{PAGES[target]}.md"
        return Path(os.path.relpath(target, new)).as_posix()

    return _LINK.sub(moved, text)


def write_pages(app: Sphinx) -> None:
    """Write the pages of `PAGES` into the site's sources."""
    folder, root = Path(app.srcdir, FOLDER), Path(app.srcdir).parent
    folder.mkdir(parents=True, exist_ok=True)
    for path, name in PAGES.items():
        text = (root / path).read_text(encoding="utf-8")
        moved = links_from(text, str(PurePosixPath(path).parent), f"docs/{FOLDER}")
        (folder / f"{name}.md").write_text(moved, encoding="utf-8")


def mend_links(app: Sphinx, page: str, source: list[str]) -> None:
    """Let a page's links to pages beside docs/ lead to where they are in the site."""
    if not page.startswith("generated/") and app.env.doc2path(page).suffix == ".md":
        folder = str(PurePosixPath("docs", page).parent)
        source[0] = links_from(source[0], folder, folder)


def setup(app: Sphinx) -> dict[str, bool]:
    """Let the pages be written before the build, and links be mended as pages are read."""
    app.connect("builder-inited", write_pages)
    app.connect("source-read", mend_links)
    return {"parallel_read_safe": True}
