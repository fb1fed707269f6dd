"""Imports of a script: its own modules in Python 2 are translated, and old ones are there."""

from __future__ import annotations

import importlib
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
    SourcelessFileLoader,
)
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from cam.pycaffe.python2 import (
    is_python2,
    is_unreadable,
    parsed_in_place,
    source_text,
    translated,
)
from cam.pycaffe.python2_names import GLOBALS, MODULES

__all__ = ["translating_imports"]

DROP_INS = {
    "im2double": "cam.maps.colors",
    "py_map2jpg": "cam.maps.colors",
    "py_returnCAMmap": "cam.maps.activation_maps",
}
"""The modules of the port, each with a function of its name, and where that function is."""


@contextmanager
def translating_imports(folder: Path, python2: bool) -> Iterator[None]:
    """Translate modules in Python 2 that are imported, and let old modules be found.

    Parameters
    ----------
    folder : pathlib.Path
        The script's folder.
    python2 : bool
        Whether the script is in Python 2: then the modules in its folder are, too.
    """
    before = set(sys.modules)
    hook, finder = _path_hook(folder.resolve(), python2), _OldModules(python2)
    sys.path_hooks.insert(0, hook)
    sys.meta_path.append(finder)
    sys.path_importer_cache.clear()
    try:
        yield
    finally:
        sys.path_hooks.remove(hook)
        sys.meta_path.remove(finder)
        sys.path_importer_cache.clear()
        for name in set(sys.modules) - before:
            if isinstance(getattr(sys.modules[name], "__loader__", None), (_Translating, _Given)):
                del sys.modules[name]


def _path_hook(script_folder: Path, python2: bool) -> Any:
    """Return a hook for folders that belong neither to Python nor to installed packages."""
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}
    others = [Path(path).resolve() for path in paths if path]
    others.append(Path(__file__).resolve().parents[1])

    def finder(folder: str) -> FileFinder:
        resolved = Path(folder or ".").resolve()
        if (
            not resolved.is_dir()
            or {"site-packages", "dist-packages"}.intersection(resolved.parts)
            or any(resolved.is_relative_to(other) for other in others)
        ):
            raise ImportError(folder)
        is_own = resolved.is_relative_to(script_folder)
        # The further from a script in Python 2, the more it takes to be in Python 2.
        tells = (is_unreadable, is_python2, lambda text: True)[is_own + python2]
        return FileFinder(
            folder,
            (ExtensionFileLoader, EXTENSION_SUFFIXES),
            (partial(_Translating, tells), SOURCE_SUFFIXES),  # type: ignore[arg-type]
            (SourcelessFileLoader, BYTECODE_SUFFIXES),
        )

    return finder


class _Translating(SourceFileLoader):
    """Loads a module, and translates it if it is in Python 2.

    Parameters
    ----------
    tells : callable
        Tells from a module's text whether it is in Python 2.
    fullname, path : str
        The module.
    """

    def __init__(self, tells: Callable[[str], bool], fullname: str, path: str) -> None:
        super().__init__(fullname, path)
        self._text = source_text(self.get_data(path))
        self._is_python2 = tells(self._text)

    def get_code(self, fullname: str) -> CodeType | None:
        """Return what runs."""
        if not self._is_python2:
            return super().get_code(fullname)
        # Nothing of it is kept beside the module, where Python would take it for the module's own.
        translation = translated(self._text, self.path)
        tree = parsed_in_place(self._text, translation, self.path)
        return compile(tree, self.path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        """Run it, with Python 2's names where it needs them."""
        if self._is_python2:
            module.__dict__.update(GLOBALS)
        super().exec_module(module)


class _Given(Loader):
    """Gives a module that is there already."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module."""
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: it has all it needs."""


class _OldModules(MetaPathFinder):
    """Finds the port's modules, and for Python 2 those of old names, where no one else does."""

    def __init__(self, python2: bool) -> None:
        self._python2 = python2

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how a module is made that no other finder has found."""
        if fullname in DROP_INS:
            module = ModuleType(fullname)
            home = importlib.import_module(DROP_INS[fullname])
            setattr(module, fullname, getattr(home, fullname))
        elif self._python2 and fullname in MODULES:
            module = MODULES[fullname]
        else:
            return None
        return ModuleSpec(fullname, _Given(module))
