"""Writes the pages of the API reference: one for each module of the package.

A public module is one whose name has no underscore in front, but for what the command line is made
of (`cam.cli` and below), which docs/commands.md describes. Its public names are those that it
exports: `__all__`, or, where there is none, what it defines under a name without an underscore in
front; a room's are also those that its `__init__.py` takes from its modules.
"""

from __future__ import annotations

import inspect
import pkgutil
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from sphinx.pycode import ModuleAnalyzer

import cam

if TYPE_CHECKING:
    from sphinx.application import Sphinx

FOLDER = "generated/api"


def public_modules(package: ModuleType = cam) -> list[ModuleType]:
    """Return the public modules below a package, parents first."""
    found = []
    for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if not info.name.rpartition(".")[2].startswith("_") and info.name != "cam.cli":
            module = import_module(info.name)
            found += [module, *(public_modules(module) if info.ispkg else [])]
    return found


def public_names(module: ModuleType) -> list[str]:
    """Return the names of functions and classes that a module exports."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    inside = (module.__name__, f"{module.__name__}.")
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (home := getattr(value, "__module__", None))
        and (home == inside[0] or (home.startswith(inside[1]) and hasattr(module, "__path__")))
    ]


def page(module: ModuleType, below: list[ModuleType]) -> str:
    """Return a module's page, as reStructuredText."""
    name = module.__name__
    parts = [part for part in below if part.__name__.rpartition(".")[0] == name]
    names = public_names(module)
    constants = [one for one in names if _is_constant(getattr(module, one))]
    lines = [name, "=" * len(name), "", f".. automodule:: {name}"]
    if not parts:
        lines.append("   :members:")
    else:
        # A name that a room exports may be that of one of its modules too.
        others = {part.__name__.rpartition(".")[2] for part in parts}.union(constants)
        if members := [one for one in names if one not in others]:
            lines += ["   :imported-members:", f"   :members: {', '.join(members)}"]
    documented = _documented_constants(name)
    for one in constants:
        if one not in documented:
            lines += ["", f".. py:data:: {one}", ""]
            lines += [f"   From :mod:`{home}`." for home in _homes(module, one, below)[:1]]
    if parts:
        lines += ["", ".. rubric:: Modules", ""]
        lines += [f"- :mod:`{part.__name__}`: {first_line(part)}" for part in parts]
        lines += ["", ".. toctree::", "   :hidden:", "", *(f"   {part.__name__}" for part in parts)]
    return "\n".join([*lines, ""])


def _is_constant(value: object) -> bool:
    return not (inspect.isclass(value) or inspect.isroutine(value) or inspect.ismodule(value))


@cache
def _documented_constants(module: str) -> set[str]:
    docstrings = ModuleAnalyzer.for_module(module).find_attr_docs()
    return {name for owner, name in docstrings if not owner}


def _homes(module: ModuleType, constant: str, modules: list[ModuleType]) -> list[str]:
    value = getattr(module, constant)
    return [
        other.__name__
        for other in modules
        if getattr(other, constant, None) is value
        and constant in _documented_constants(other.__name__)
    ]


def first_line(module: ModuleType) -> str:
    """Return what a module holds, in its own words."""
    return (module.__doc__ or "").partition("\n")[0]


def write_pages(app: Sphinx) -> None:
    """Write the pages that differ from those of an earlier build, and remove what is left of it."""
    folder = Path(app.srcdir) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    modules = public_modules()
    pages = {f"{module.__name__}.rst": page(module, modules) for module in [cam, *modules]}
    for stale in set(folder.glob("*.rst")) - {folder / name for name in pages}:
        stale.unlink()
    for name, text in pages.items():
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text:
            (folder / name).write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Let the pages be written before the build."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True}
