"""Scripts in Python 2: told from others, and translated in memory with fissix."""

from __future__ import annotations

import ast
import difflib
import io
import re
import tempfile
import tokenize
import warnings
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypeGuard

from cam.errors import CamError

__all__ = [
    "difference",
    "is_python2",
    "is_unreadable",
    "parsed_in_place",
    "source_text",
    "translated",
]

LEFT_ALONE = frozenset({"execfile", "import", "intern", "reduce", "reload"})
"""The fixers that are not used: `cam.pycaffe.python2_names` has what these write imports for."""

KEPT_MODULES = ("StringIO", "cPickle", "cStringIO")
"""Modules that `cam.pycaffe.python2_names` has under their old names, since the new ones differ."""

DIVIDE, DIVIDE_IN_PLACE, BYTES_OR_TEXT = "py2_divide", "py2_divide_in_place", "py2_str"
"""What stands for division and `str` of Python 2; see `cam.pycaffe.python2_names`."""

OLD_NAMES = frozenset(
    """
    basestring cmp execfile long raw_input reduce reload unichr unicode xrange
    """.split()  # noqa: SIM905
)
OLD_METHODS = {"has_key": 1, "iteritems": 0, "iterkeys": 0, "itervalues": 0}
"""Methods of dictionaries, and how many arguments they take."""
OLD_ATTRIBUTES = frozenset(
    [
        *(("string", name) for name in ("join", "letters", "lowercase", "maketrans", "uppercase")),
        *(("urllib", name) for name in ("quote", "urlencode", "urlopen", "urlretrieve")),
        *(("itertools", name) for name in ("ifilter", "imap", "izip")),
        ("os", "getcwdu"),
        ("sys", "maxint"),
    ]
)
OLD_MODULES = frozenset(
    """
    ConfigParser HTMLParser Queue StringIO Tkinter cPickle cStringIO commands httplib urllib2
    urlparse
    """.split()  # noqa: SIM905
)
_INDENTATION = re.compile(r"^[ \t]*\t[ \t]*", re.MULTILINE)
_TAB = 8
"""How far Python 2 takes a tab in an indentation."""


def source_text(data: bytes) -> str:
    """Return the text of a script: in the encoding that it names, else UTF-8, else Latin-1."""
    try:
        encoding = tokenize.detect_encoding(io.BytesIO(data).readline)[0]
        text = data.decode(encoding)
    except (SyntaxError, UnicodeDecodeError):
        text = data.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def is_python2(text: str) -> bool:
    r"""Tell whether a script is written in Python 2.

    It is if Python 3 cannot read it, if its first line says so, if it takes Python 3's `print` from
    ``__future__`` but not its division, or if it uses names that only Python 2 has, and not within
    a ``try`` that would find others.

    Examples
    --------
    >>> is_python2("print 'old'"), is_python2("for i in xrange(3): print(i)")
    (True, True)
    >>> is_python2("try:\n    import cPickle\nexcept ImportError:\n    import pickle")
    False
    """
    tree = _python3(text)
    if tree is None or re.match(r"#!.*\bpython2", text):
        return True
    nodes = list(ast.walk(tree))
    future = {
        alias.name
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
        for alias in node.names
    }
    if "print_function" in future and "division" not in future:
        return True
    assigned = {node.arg for node in nodes if isinstance(node, ast.arg)}
    assigned |= {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return any(_is_old(node, assigned) for node in _walk_outside_of_try(tree))


def is_unreadable(text: str) -> bool:
    """Tell whether Python 3 cannot read a script at all."""
    return _python3(text) is None


def _python3(text: str) -> ast.Module | None:
    with warnings.catch_warnings():
        # Of what the script's own strings hold, it is told when it runs.
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError):
            return None


def _walk_outside_of_try(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.Try):
            yield from _walk_outside_of_try(child)


def _is_old(node: ast.AST, assigned: set[str]) -> bool:
    if isinstance(node, ast.Name):
        return node.id in OLD_NAMES - assigned
    if isinstance(node, ast.Attribute):
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        return (owner, node.attr) in OLD_ATTRIBUTES and owner not in assigned
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        # The functions of these names in the package six take the dictionary as an argument.
        return OLD_METHODS.get(node.func.attr) == len(node.args)
    if isinstance(node, ast.Import):
        return any(alias.name in OLD_MODULES for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        return node.module in OLD_MODULES or any(
            (node.module, alias.name) in OLD_ATTRIBUTES for alias in node.names
        )
    return False


def translated(text: str, source: str) -> str:
    """Return a script in Python 2 as one in Python 3, its lines where they were.

    Parameters
    ----------
    text : str
        The script.
    source : str
        Its file, for messages.

    Returns
    -------
    str
        The translation. It uses the names of `cam.pycaffe.python2_names`.

    Raises
    ------
    CamError
        If fissix is not installed, or something cannot be translated; the message names the line.
    """
    tool = _tool()
    try:
        # The parser wants the last line to end.
        tree = tool.refactor_string(text.rstrip("\n") + "\n", source)
    except Exception as error:
        raise _untranslatable(error, source) from error
    result = str(tree)
    try:
        parsed = ast.parse(result, source)
    except TabError:
        # Python 3 does not say how far a tab goes.
        return translated(_INDENTATION.sub(lambda i: i[0].expandtabs(_TAB), text), source)
    except SyntaxError as error:
        raise CamError(
            f"{source}, line {error.lineno}: cannot be translated from Python 2: {error.msg}"
        ) from error
    return _with_old_meanings(result, parsed, "division" not in tree.future_features)


def difference(text: str, translation: str, source: str) -> str:
    """Return what a translation changes, as a unified diff."""
    return "".join(
        difflib.unified_diff(
            text.splitlines(keepends=True),
            translation.splitlines(keepends=True),
            source,
            f"{source} (Python 3)",
        )
    )


def parsed_in_place(text: str, translation: str, source: str) -> ast.Module:
    """Parse a translation, with the line numbers that the script's own lines have.

    Parameters
    ----------
    text, translation : str
        The script and its translation, which may have more lines.
    source : str
        The script's file.
    """
    tree = ast.parse(translation, source)
    old, new = text.splitlines(), translation.splitlines()
    if len(old) == len(new):
        return tree
    numbers = [1] * (len(new) + 2)
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for _, first, last, start, stop in matcher.get_opcodes():
        for line in range(start, stop):
            numbers[line + 1] = min(first + line - start, max(last - 1, 0)) + 1
    for node in ast.walk(tree):
        if isinstance(node, (ast.stmt, ast.expr, ast.excepthandler, ast.arg, ast.keyword)):
            node.lineno = numbers[node.lineno]
            node.end_lineno = node.end_col_offset = None
    return tree


def _untranslatable(error: Exception, source: str) -> CamError:
    # The parser's errors have a context (prefix, (line, column)) and the token that did not fit;
    # the tokenizer's are (message, (line, column)).
    context = getattr(error, "context", None)
    if context is not None:
        line, reason = context[1][0], f"unexpected {getattr(error, 'value', '')!r}"
    elif isinstance(error, SyntaxError):
        line, reason = error.lineno, error.msg
    elif len(error.args) > 1 and isinstance(error.args[1], tuple):
        line, reason = error.args[1][0], error.args[0]
    else:
        line, reason = None, f"{type(error).__name__}: {error}"
    where = source if line is None else f"{source}, line {line}"
    return CamError(f"{where}: cannot be translated from Python 2: {reason}")


@lru_cache(maxsize=1)
def _tool() -> Any:
    try:
        fissix = import_module("fissix")
    except ImportError as error:
        raise CamError(
            "a script in Python 2 is translated with the package fissix: "
            "pip install 'cam-caffe[script]'; --python 3 says that it is in Python 3"
        ) from error
    with tempfile.TemporaryDirectory() as folder:
        # It would keep its grammar in the user's cache folder.
        fissix.CACHE_DIR = Path(folder)  # type: ignore[attr-defined]
        refactor = import_module("fissix.refactor")
        imports = import_module("fissix.fixes.fix_imports")
    for name in KEPT_MODULES:
        imports.MAPPING.pop(name, None)
    names = [
        name
        for name in refactor.get_fixers_from_package("fissix.fixes")
        if name.rpartition(".fix_")[2] not in LEFT_ALONE
    ]
    return refactor.RefactoringTool(names)


def _with_old_meanings(text: str, tree: ast.Module, old_division: bool) -> str:
    """Put Python 2's `str` in place of Python 3's, and its division where it may be whole."""
    lines = [line.encode() for line in text.splitlines(keepends=True)]
    slashes = _slashes(text)
    # Each edit: line, column, length, new text; those at one place in the order of the list.
    edits: list[tuple[int, int, int, str]] = []
    for node in ast.walk(tree):
        if _is_call_of(node, "str"):
            # Bytes are what Python 2's `str` is.
            edits.append((node.lineno, node.col_offset, len("str"), BYTES_OR_TEXT))
        elif old_division and isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            if _is_float(node.left) or _is_float(node.right):
                continue
            line, column = _between(slashes, node.left, node.right)
            edits.append((node.lineno, node.col_offset, 0, f"{DIVIDE}("))
            edits.append((line, column, 1, ","))
            edits.append((node.end_lineno or 0, node.end_col_offset or 0, 0, ")"))
        elif old_division and isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Div):
            line, column = _between(slashes, node.target, node.value)
            target = ast.get_source_segment(text, node.target)
            edits.append((line, column, 2, f"= {DIVIDE_IN_PLACE}({target},"))
            edits.append((node.end_lineno or 0, node.end_col_offset or 0, 0, ")"))
    for line, column, length, new in sorted(edits, key=lambda edit: edit[:2], reverse=True):
        old = lines[line - 1]
        lines[line - 1] = old[:column] + new.encode() + old[column + length :]
    return b"".join(lines).decode()


def _is_float(node: ast.expr) -> bool:
    is_written = isinstance(node, ast.Constant) and isinstance(node.value, float)
    return is_written or _is_call_of(node, "float")


def _is_call_of(node: ast.AST, name: str) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def _slashes(text: str) -> list[tuple[int, int]]:
    """Return line and column, in bytes, of each operator ``/`` and ``/=``."""
    lines = text.splitlines()
    return [
        (row, len(lines[row - 1][:column].encode()))
        for kind, string, (row, column), *_ in tokenize.generate_tokens(io.StringIO(text).readline)
        if kind == tokenize.OP and string in ("/", "/=")
    ]


def _between(slashes: list[tuple[int, int]], left: ast.expr, right: ast.expr) -> tuple[int, int]:
    end = (left.end_lineno or 0, left.end_col_offset or 0)
    start = (right.lineno, right.col_offset)
    return next(place for place in slashes if end <= place < start)
