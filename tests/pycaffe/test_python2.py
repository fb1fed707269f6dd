"""Scripts in Python 2: told from others, and what they mean in Python 3."""

from __future__ import annotations

import io
import pickle
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cam.errors import CamError
from cam.pycaffe.python2 import difference, is_python2, parsed_in_place, source_text, translated
from cam.pycaffe.python2_names import GLOBALS, MODULES, Py2StringIO, py2_open, py2_round

needs_fissix = pytest.mark.usefixtures("fissix")


@pytest.fixture(scope="module")
def fissix() -> Any:
    return pytest.importorskip("fissix")


def run(text: str, names: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run a script in Python 2 and return its names."""
    tree = parsed_in_place(text, translated(text, "old.py"), "old.py")
    found = {**GLOBALS, **(names or {})}
    exec(compile(tree, "old.py", "exec", dont_inherit=True), found)
    return found


@pytest.mark.parametrize(
    "text",
    [
        "print 'x'",
        "try:\n    pass\nexcept ValueError, e:\n    pass",
        "for i in xrange(3): pass",
        "for k, v in net.blobs.iteritems(): pass",
        "if d.has_key(1): pass",
        "import cPickle",
        "from StringIO import StringIO",
        "import urllib2",
        "import urllib\nurllib.urlopen('x')",
        "from urllib import urlretrieve",
        "import string\nx = string.letters",
        "x = raw_input('?')",
        "x = 0777",
        "#!/usr/bin/env python2.7\nx = 1 / 2",
        "from __future__ import print_function\nx = 1 / 2",
        "if True:\n        x = 1\n\ty = 2",
    ],
)
def test_python_2_is_told_by_its_syntax_or_its_names(text: str) -> None:
    assert is_python2(text)


@pytest.mark.parametrize(
    "text",
    [
        "print('x')",
        "x = 1 / 2",
        "try:\n    import cPickle as pickle\nexcept ImportError:\n    import pickle",
        "try:\n    xrange\nexcept NameError:\n    xrange = range\nfor i in xrange(3): pass",
        "import urllib.request\nurllib.request.urlopen('x')",
        "def f(reduce): return reduce + 1\nreduce = f",
        "#!/usr/bin/env python3\nx = 1",
        "from __future__ import print_function\nfrom __future__ import division\nx = 1 / 2",
        "from __future__ import annotations\nx = 1 / 2",
        "def f(string): return string.join('ab')",
        "import six\nfor value in six.itervalues(d): pass",
    ],
)
def test_python_3_and_scripts_for_both_are_left_alone(text: str) -> None:
    assert not is_python2(text)


@needs_fissix
@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("7 / 2", 3),
        ("-7 / 2", -4),
        ("7 / 2.0", 3.5),
        ("7.0 / 2", 3.5),
        ("float(7) / 2", 3.5),
        ("224 / 3 / 2 * 4", 148),
        ("2 * 7 / 4", 3),
        ("(1 + 2) / (1 + 1)", 1),
        ("1 / 2 + 1 / 2.", 0.5),
        ("[1 / 2, (3 / 2,)]", [0, (1,)]),
        ("7 % 4 / 2 ** 1", 1),
        ("n / 2", 2),
        ("a / 2", [0, 1, 1]),
        ("a / 2.", [0.5, 1.0, 1.5]),
        ("a.shape[0] / 2", 1),
        ("m / 2", 2),
        ("'%d' % (5 / 2)", "2"),
        ("map(lambda x: x / 2, range(4))", [0, 0, 1, 1]),
        ("range(3) + [9]", [0, 1, 2, 9]),
        ("zip([1, 2], 'ab')", [(1, "a"), (2, "b")]),
        ("filter(None, [0, 1])", [1]),
        ("{'a': 1}.items() + {'b': 2}.keys()", [("a", 1), "b"]),
        ("reduce(lambda x, y: x * y, range(1, 5))", 24),
        ("cmp(3, 2) + cmp('a', 'b') * 10", -9),
        ("round(2.5)", 3.0),
        ("`5` + str(6)", "56"),
        ("10L + 0777", 521),
        ("u'x' + unichr(233)", "xé"),
        ("isinstance(u'x', basestring) and isinstance(5, (int, long))", True),
        ("1 <> 2", True),
        ("str(bytearray('x', 'ascii'))", b"x"),
    ],
)
def test_expressions_have_python_2s_value(expression: str, value: Any) -> None:
    names = {"n": np.int64(5), "a": np.array([1, 2, 3]), "m": 5}
    found = run(f"result = {expression}", names)["result"]
    assert (found.tolist() if isinstance(found, np.ndarray) else found) == value
    assert isinstance(found, float) == isinstance(value, float)


def random_expression(draw: random.Random, depth: int) -> str:
    if not depth:
        return draw.choice(["1", "2", "3", "7", "n", "2.0", "(5)", "g(3)"])
    left, right = (random_expression(draw, depth - 1) for _ in range(2))
    operator = draw.choice(["+", "-", "*", "/", "/", "//"])
    return draw.choice(
        [
            f"{left} {operator} {right}",
            f"({left}{operator}{right})",
            f"-{left}",
            f"g({left}, [{right}][0])",
            f"({left}  # a / b\n  / {right})",
            f"len((u'é/é', {left} / {right}))",
        ]
    )


class WholeNumber(int):
    """A number that divides as Python 2's whole ones do."""

    def __truediv__(self, other: Any) -> Any:
        return self // other if isinstance(other, int) else int(self) / other

    def __rtruediv__(self, other: Any) -> Any:
        return other / int(self)

    for _name in ("add", "sub", "mul", "floordiv", "radd", "rsub", "rmul", "rfloordiv", "neg"):

        def _same(self, *others: Any, name: str = f"__{_name}__") -> Any:
            result = getattr(int, name)(self, *others)
            return WholeNumber(result) if isinstance(result, int) else result

        locals()[f"__{_name}__"] = _same


@needs_fissix
def test_any_expression_divides_as_in_python_2() -> None:
    draw = random.Random(1)
    compared = 0
    for _ in range(300):
        text = "(" + random_expression(draw, draw.randint(1, 4)) + ")"
        # The same with numbers that divide as Python 2's, in place of the translation.
        plain = text.replace("[0]", ".pop(0)")
        plain = re.sub(r"(?<![\w.])(\d)(?![\w.])", r"WholeNumber(\1)", plain)
        names = {"g": lambda a, b=0: a + b, "WholeNumber": WholeNumber}
        try:
            wanted = eval(plain, {**names, "n": WholeNumber(5), "len": lambda x: WholeNumber(2)})
        except ZeroDivisionError:
            with pytest.raises(ZeroDivisionError):
                run(f"result = {text}", {**names, "n": 5})
            continue
        result = run(f"result = {text}", {**names, "n": 5})["result"]
        assert repr(result) == repr(float(wanted) if isinstance(wanted, float) else int(wanted))
        compared += 1
    assert compared > 200


@needs_fissix
def test_statements_have_python_2s_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    names = run(
        """
import sys
x = 7
x /= 2
values = np.array([7, 8])
same = values
values /= 2
sizes = {'a': [9]}
sizes['a'][0] /= 2
print "shape", x, sizes['a'],
print >>sys.stderr, "to errors"
try:
    raise ValueError, "wrong"
except ValueError, error:
    print error
exec "made = 5"
def area((width, height), scale):
    return width * height / scale
print area((3, 5), 2)
""",
        {"np": np},
    )
    assert names["x"] == 3
    assert names["same"].tolist() == [3, 4]
    assert names["made"] == 5
    output = capsys.readouterr()
    assert output.out == "shape 3 [4] wrong\n7\n"
    assert output.err == "to errors\n"


@needs_fissix
def test_true_division_stays_where_the_script_asks_for_it() -> None:
    assert run("from __future__ import division\nx = 7 / 2\nprint 'a'")["x"] == 3.5


@needs_fissix
def test_lines_stay_where_they_were_even_where_the_translation_adds_some() -> None:
    text = "from urllib import urlopen, quote\n\ndef f((a, b)):\n    return a\n\nx = 1 / zero\n"
    with pytest.raises(NameError) as raised:
        run(text)
    assert raised.traceback[-1].lineno + 1 == 6


@needs_fissix
def test_the_difference_shows_all_that_changes() -> None:
    text = "import sys\nprint 'half', 3 / 2\n"
    shown = difference(text, translated(text, "old.py"), "old.py")
    assert shown.splitlines() == [
        "--- old.py",
        "+++ old.py (Python 3)",
        "@@ -1,2 +1,2 @@",
        " import sys",
        "-print 'half', 3 / 2",
        "+print('half', py2_divide(3 , 2))",
    ]


@needs_fissix
@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("x = 1\nprint 'a' if\n", "line 2: .*unexpected"),
        ("x = 1\n\ndef f(:\n    pass\n", "line 3: .*unexpected ':'"),
        ("print 'never ends\n", "line 1"),
        ("if x:\n    print 1\n  print 2\n", "line 3"),
        ("print 1\nasync = 2\n", "line 2"),
        ('print """\n', "line"),
    ],
)
def test_what_cannot_be_translated_is_one_line_with_the_place(text: str, place: str) -> None:
    with pytest.raises(CamError, match=rf"^old\.py, {place}") as raised:
        translated(text, "old.py")
    assert "\n" not in str(raised.value)
    assert "cannot be translated from Python 2" in str(raised.value)


@needs_fissix
def test_tabs_and_blanks_are_indented_as_in_python_2() -> None:
    assert run("if True:\n        x = 1\n\ty = 2\n")["y"] == 2


def test_sources_are_read_in_their_encoding() -> None:
    assert source_text(b"# -*- coding: latin-1 -*-\nx = '\xe9'").endswith("'é'")
    assert source_text("x = 'é'".encode()) == "x = 'é'"
    assert source_text(b"x = '\xe9'") == "x = 'é'"
    assert source_text(b"a\r\nb\rc") == "a\nb\nc"


def test_fissix_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from cam.pycaffe import python2

    def missing(name: str) -> Any:
        raise ImportError(name)

    python2._tool.cache_clear()
    monkeypatch.setattr(python2, "import_module", missing)
    with pytest.raises(CamError, match=r"pip install 'cam-caffe\[script\]'"):
        translated("print 1", "old.py")


@pytest.mark.parametrize(
    ("value", "rounded"),
    [(0.5, 1), (1.5, 2), (-0.5, -1), (2.5, 3), (2.4, 2), (-2.6, -3), (1e300, 1e300)],
)
def test_halves_are_rounded_away_from_zero(value: float, rounded: float) -> None:
    assert py2_round(value) == rounded
    assert py2_round(0.49999999999999994) == 0


def test_files_are_text_or_bytes_as_they_hold(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("é\n", encoding="utf-8")
    (tmp_path / "latin").write_bytes(b"caf\xe9\n")
    (tmp_path / "picture").write_bytes(b"\xff\xd8\x00\x01")
    assert py2_open(str(tmp_path / "text")).read() == "é\n"
    assert py2_open(tmp_path / "latin", "r").read() == "café\n"
    assert py2_open(str(tmp_path / "picture")).read() == b"\xff\xd8\x00\x01"
    for mode in ("w", "wb", "a"):
        with py2_open(str(tmp_path / "out"), mode) as file:
            print("text", file=file)
            file.write(b"\xff\n")
    assert (tmp_path / "out").read_bytes() == b"text\n\xff\n" * 2


def test_files_in_memory_are_what_is_put_into_them() -> None:
    for data in ("text", b"bytes", bytearray(b"more")):
        filled, empty = Py2StringIO(data), Py2StringIO()
        empty.seek(0)
        empty.write(data)
        empty.seek(0)
        assert filled.read() == empty.read() == data
    assert list(Py2StringIO("a\nb")) == ["a\n", "b"]


def test_pickles_of_python_2_are_read_from_files_of_any_kind(tmp_path: Path) -> None:
    array = np.arange(3, dtype=np.uint8) + 250
    path = tmp_path / "old.pkl"
    path.write_bytes(pickle.dumps({"array": array, "name": "é"}, 2))
    module = MODULES["cPickle"]
    with path.open(encoding="latin-1") as file:
        assert module.load(file)["name"] == "é"
    assert module.loads(path.read_bytes())["array"].tolist() == [250, 251, 252]
    assert module.loads(b"S'caf\\xe9'\n.") == "café"
    buffer = io.BytesIO()
    module.dump([1], buffer, module.HIGHEST_PROTOCOL)
    assert pickle.loads(buffer.getvalue()) == [1]
