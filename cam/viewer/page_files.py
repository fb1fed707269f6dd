"""The page's own files as one: what a report carries in itself."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from cam.errors import CamError
from cam.viewer.payload import color_tables

PAGE = Path(__file__).with_name("page")
"""The folder of the page's files; all but the template are served as they are."""

TEMPLATE = PAGE / "report.html"
"""How a report begins, with names in braces for what is its own."""

_MODULES = ("elements.js", "maps.js", "viewer.js", "report.js")
"""What the report's script is made of; each uses those before it."""

_IMPORT = re.compile(r"^import\b[^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const)\b)", re.MULTILINE)


@lru_cache(maxsize=1)
def report_script() -> str:
    """Return the report's modules as one: without imports, since all lies in one scope."""
    return "\n".join(
        _EXPORT.sub("", _IMPORT.sub("", (PAGE / name).read_text(encoding="utf-8")))
        for name in _MODULES
    )


def head(title: str) -> str:
    """Return the beginning of a report's page, which allows its own script and nothing else."""
    style = (PAGE / "page.css").read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; script-src {_hash_of(report_script())}; "
        f"style-src {_hash_of(style)}; img-src data:; base-uri 'none'; form-action 'none'"
    )
    template = TEMPLATE.read_text(encoding="utf-8")
    return (
        template.replace("{policy}", policy)
        .replace("{title}", html.escape(title))
        .replace("{style}", style)
    )


def data_block(name: str, value: Any) -> str:
    """Return a JSON value as a block of a page; no text in it can end the block.

    Raises
    ------
    CamError
        If a number in it is none that JSON has.
    """
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    except ValueError as error:
        raise CamError(f"the record has a number that is none: {error}") from error
    return f'<script type="application/json" id="{name}">{text}</script>\n'


def tail() -> str:
    """Return the end of a report's page: the colour maps and the script."""
    script = f'<script type="module">{report_script()}</script>\n</body>\n</html>\n'
    return data_block("colormaps", color_tables()) + script


def _hash_of(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
