"""`cam script`: scripts of 2016 as they stand, with Caffe and without."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import reference
from locations import REPOSITORY

from cam.caffe.caffemodel import CaffeModel, write_caffemodel
from cam.caffe.network import load_network
from cam.caffe.prototxt import upgraded
from cam.caffe.random_weights import seeded_weights
from cam.errors import CamError
from cam.pycaffe.script import Script, run_script

Run = Callable[..., tuple[int, str, str]]

EMBEDDED = ["models/efficientnet-lite0.prototxt", "models/efficientnet-lite0.caffemodel"]


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CAFFE_ROOT", "CAM_ENGINE", "CAM_MODELS", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=[pytest.param("caffe", marks=pytest.mark.caffe), "openvino"])
def engine(request: pytest.FixtureRequest) -> str:
    """Return each engine, pycaffe where it is installed."""
    if request.param == "caffe":
        request.getfixturevalue("pycaffe")
    return str(request.param)


@pytest.fixture
def script(run: Run, tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """Return a function that writes a script and runs it with options and arguments."""

    def write_and_run(
        text: str, *arguments: object, engine: str = "openvino", options: tuple[object, ...] = ()
    ) -> tuple[int, str, str]:
        (tmp_path / "old.py").write_text(text, encoding="utf-8")
        return run("script", "--engine", engine, *options, "old.py", *arguments)

    return write_and_run


# --- as Python runs a script ---------------------------------------------------------------------


def test_a_script_sees_what_python_gives_it(script: Run, tmp_path: Path) -> None:
    code, output, errors = script(
        "import sys, os\n"
        "print(__name__, sys.argv, os.path.abspath(__file__))\n"
        "print(sys.path[0], sys.modules['__main__'].__dict__ is globals())\n",
        *("--engine", "x", "-h", "a b"),
    )
    assert code == 0, errors
    assert output.splitlines() == [
        f"__main__ ['old.py', '--engine', 'x', '-h', 'a b'] {tmp_path / 'old.py'}",
        f"{tmp_path} True",
    ]


@pytest.mark.parametrize(("ending", "code"), [("3", 3), ("", 0), ("None", 0)])
def test_exit_codes_pass_through(script: Run, ending: str, code: int) -> None:
    assert script(f"import sys\nprint('here')\nsys.exit({ending})") == (code, "here\n", "")


def test_a_message_to_exit_with_passes_through(tmp_path: Path) -> None:
    path = tmp_path / "old.py"
    path.write_text("import sys\nsys.exit('no picture')", encoding="utf-8")
    with pytest.raises(SystemExit, match="no picture"):
        run_script(Script(path), engine="openvino")


@pytest.mark.parametrize("header", ["", "print 'in Python 2'\n"])
def test_an_error_of_the_script_is_shown_as_python_shows_it(
    script: Run, tmp_path: Path, header: str
) -> None:
    if header:
        pytest.importorskip("fissix")
    text = header + "def divide(x):\n    return 1 / x\n\ndivide(0)\n"
    code, _, errors = script(text)
    assert code == 1
    lines = errors.splitlines()
    last = text.count("\n")
    assert lines[0] == "Traceback (most recent call last):"
    file = f'  File "{tmp_path / "old.py"}"'
    assert lines[1:3] == [f"{file}, line {last}, in <module>", "    divide(0)"]
    assert f"{file}, line {last - 2}, in divide" in lines
    assert "    return 1 / x" in lines
    assert lines[-1].startswith("ZeroDivisionError")


def test_an_error_of_caffes_part_points_into_the_script(script: Run) -> None:
    code, _, errors = script("import caffe\nnet = None\n\ncaffe.SGDSolver('solver.prototxt')\n")
    assert code == 1
    assert 'old.py", line 4, in <module>' in errors
    assert "needs Caffe itself (the caffe engine)" in errors.splitlines()[-1]


def test_a_script_that_is_neither_python_2_nor_3_gets_one_line(script: Run) -> None:
    pytest.importorskip("fissix")
    code, output, errors = script("x = 1\nprint 'a' if\n")
    assert (code, output) == (2, "")
    assert errors.startswith("cam: old.py, line 2: cannot be translated from Python 2")
    assert errors.count("\n") == 1


def test_a_script_that_is_not_there_gets_one_line(run: Run) -> None:
    code, _, errors = run("script", "none.py")
    assert code == 2
    assert "cannot read the script none.py" in errors


def test_a_script_may_change_the_working_folder(script: Run, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    code, output, _ = script("import os\nos.chdir('sub')\nprint(open('../old.py').read()[:6])")
    assert (code, output) == (0, "import\n")
    os.chdir(tmp_path)


def test_nothing_stays_changed(script: Run, tmp_path: Path) -> None:
    pytest.importorskip("fissix")
    pytest.importorskip("matplotlib")
    (tmp_path / "sibling_of_old.py").write_text("print 'sibling'\n", encoding="utf-8")

    def state() -> dict[str, Any]:
        import string
        import time

        watched = ("caffe", "cPickle", "sibling_of_old", "py_map2jpg", "__main__")
        return {
            "environment": dict(os.environ),
            "argv": list(sys.argv),
            "path": list(sys.path),
            "hooks": [list(sys.path_hooks), list(sys.meta_path)],
            "modules": [sys.modules.get(name) for name in watched],
            "names": [
                *(cv2.imshow, cv2.waitKey, np.__dict__.get("float"), np.fromstring),
                *(hasattr(string, "letters"), hasattr(time, "clock"), hasattr(cv2, "CV_AA")),
            ],
        }

    before = state()
    code, _, errors = script(
        "import caffe, cPickle, sibling_of_old, py_map2jpg, os, sys, string, time, cv2\n"
        "print np.float if 0 else string.letters, time.clock, cv2.CV_AA\n"
        "sys.path.insert(0, 'x'); sys.argv.append('y')\n"
        "cv2.imshow('a', cv2.imread('none') or __import__('numpy').zeros((2, 2)))\n"
        "raise SystemExit(4)"
    )
    assert code == 4, errors
    assert state() == before
    assert not list(tmp_path.rglob("*.pyc"))


# --- what import caffe means ---------------------------------------------------------------------


def test_without_pycaffe_the_project_answers(script: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "caffe", None)
    monkeypatch.delitem(sys.modules, "caffe")
    find_spec = __import__("importlib.util").util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name, *rest: None if name == "caffe" else find_spec(name, *rest),
    )
    text = "import caffe, caffe.io\nfrom caffe.proto import caffe_pb2\nprint(caffe.Net.__module__)"
    code, output, errors = script(text, engine="auto")
    assert (code, output) == (0, "cam.pycaffe.net\n"), errors


@pytest.mark.caffe
def test_where_pycaffe_is_installed_it_answers(script: Run, pycaffe: Any) -> None:
    code, output, errors = script("import caffe\nprint(caffe.Net.__module__)", engine="auto")
    assert (code, output) == (0, "caffe._caffe\n"), errors
    code, output, errors = script("import caffe\nprint(caffe.Net.__module__)")
    assert (code, output) == (0, "cam.pycaffe.net\n"), errors
    assert sys.modules["caffe"] is pycaffe


def test_the_engine_of_the_environment_is_the_default(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAM_ENGINE", "openvino")
    (tmp_path / "old.py").write_text("import caffe\nprint(caffe.Net.__module__)", encoding="utf-8")
    assert run("script", "old.py")[1] == "cam.pycaffe.net\n"


def test_pycaffe_that_is_asked_for_and_missing_gets_one_line(
    script: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "caffe", None)
    code, _, errors = script("import caffe", engine="caffe")
    assert code == 2
    assert errors.startswith("cam: the caffe engine needs pycaffe")


# --- where scripts look for things ---------------------------------------------------------------

ROOT = """
import os, sys
import numpy as np
root = os.environ['CAFFE_ROOT']
sys.path.insert(0, root + '/python')
import caffe
mean = np.load(root + '/python/caffe/imagenet/ilsvrc_2012_mean.npy')
beside = os.path.join(os.path.dirname(caffe.__file__), 'imagenet', 'ilsvrc_2012_mean.npy')
labels = np.loadtxt(root + '/data/ilsvrc12/synset_words.txt', str, delimiter='\\t')
print(root, mean.shape, (np.load(beside) == mean).all(), len(labels), labels[967])
print(sorted(os.listdir(root + '/models')))
net = caffe.Net(root + '/models/efficientnet-lite0.prototxt',
                root + '/models/efficientnet-lite0.caffemodel', caffe.TEST)
print(net.blobs['data'].data.shape)
"""


def test_a_caffe_root_is_there(script: Run, engine: str, models: Path) -> None:
    code, output, errors = script(ROOT, engine=engine)
    assert code == 0, errors
    first, listing, shape = output.splitlines()
    root, rest = first.split(" ", 1)
    assert rest == "(3, 256, 256) True 1000 n07920052 espresso"
    names = {path.name for path in models.glob("*.prototxt")} | {"efficientnet-lite0.caffemodel"}
    assert all(f"'{name}'" in listing for name in names)
    assert shape == "(1, 3, 224, 224)"
    assert not Path(root).exists()


def test_the_users_caffe_root_is_kept(
    script: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAFFE_ROOT", str(tmp_path / "caffe"))
    code, output, _ = script("import os, caffe\nprint(os.environ['CAFFE_ROOT'])")
    assert (code, output) == (0, f"{tmp_path / 'caffe'}\n")


def test_a_process_that_a_script_starts_finds_caffe_in_the_root(script: Run) -> None:
    text = (
        "import os, subprocess, sys\n"
        "sys.stdout.flush()\n"
        "command = [sys.executable, '-c', 'import caffe, caffe.io; print(caffe.Net.__module__)']\n"
        f"path = os.environ['CAFFE_ROOT'] + '/python' + os.pathsep + {str(REPOSITORY)!r}\n"
        "path += os.pathsep + os.environ.get('PYTHONPATH', '')\n"
        "print(subprocess.check_output(command, env=dict(os.environ, PYTHONPATH=path)).decode())\n"
    )
    code, output, errors = script(text)
    assert (code, output.strip()) == (0, "cam.pycaffe.net"), errors


def test_models_are_found_where_the_project_keeps_them(
    script: Run, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prototxt, caffemodel = seeded("googlenetCAM", tmp_path)
    kept = tmp_path / "kept"
    kept.mkdir()
    name = "imagenet_googlenetCAM_train_iter_120000.caffemodel"
    caffemodel.rename(kept / name)
    monkeypatch.setenv("CAM_MODELS", str(kept))
    for arguments in (
        f"'models/{prototxt.name}', 'models/{name}', caffe.TEST",
        f"'models/{prototxt.name}', caffe.TEST, weights='models/{name}'",
    ):
        text = f"import caffe\nnet = caffe.Net({arguments})\nprint(len(net.params))"
        code, output, errors = script(text, engine=engine)
        assert (code, output) == (0, "47\n"), errors
        assert f"cam: models/{name} is not there; {kept / name} is taken" in errors
    code, _, errors = script("import caffe\ncaffe.Net('models/none.prototxt', 1)", engine=engine)
    assert code == 1
    assert "none.prototxt" in errors.splitlines()[-1]


# --- Python 2 and the modules of the port --------------------------------------------------------


@pytest.fixture
def fissix() -> None:
    pytest.importorskip("fissix")


def test_the_ports_modules_are_there_where_the_script_has_none(script: Run) -> None:
    text = (
        "from py_returnCAMmap import py_returnCAMmap\nfrom py_map2jpg import py_map2jpg\n"
        "from im2double import im2double\nimport numpy as np\n"
        "maps = py_returnCAMmap(np.ones((1, 3, 2, 4)), np.ones((5, 3)))\n"
        "print(maps.shape, py_map2jpg(im2double(maps[:, :, 0]), None, 'jet').shape)\n"
    )
    assert script(text)[:2] == (0, "(2, 4, 5) (2, 4, 3)\n")


def test_the_scripts_own_modules_go_first_and_may_be_python_2(
    script: Run, tmp_path: Path, fissix: None, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "py_map2jpg.py").write_text(
        "import helpers_of_old\ndef py_map2jpg(imgmap, rang, colorMap):\n"
        "\tprint 'own', helpers_of_old.half(3)\n\treturn 1\n",
        encoding="utf-8",
    )
    (tmp_path / "helpers_of_old.py").write_text("def half(n): return n / 2", encoding="utf-8")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "loops_of_old.py").write_text("def f(xs): return xs.iteritems()", encoding="utf-8")
    far = f"import sys\nsys.path.insert(0, {str(elsewhere)!r})\nimport loops_of_old\n"
    far += "class Own(object):\n    iteritems = lambda self: 'kept'\nprint(loops_of_old.f(Own()))"
    other = tmp_path.with_name(f"{tmp_path.name}-script")
    other.mkdir()
    (other / "far.py").write_text(far, encoding="utf-8")
    assert run_script(Script(other / "far.py"), engine="openvino") == 0
    assert capsys.readouterr().out == "kept\n"
    text = "from py_map2jpg import py_map2jpg\nprint(py_map2jpg(None, None, 'jet'))"
    assert script(text)[:2] == (0, "own 1.5\n1\n")
    assert script(text, options=("--python", "2"))[:2] == (0, "own 1\n1\n")


def test_python_2_can_be_said_where_the_text_does_not_tell(script: Run, fissix: None) -> None:
    assert script("print(3 / 2)")[1] == "1.5\n"
    assert script("print(3 / 2)", options=("--python", "2"))[1] == "1\n"
    code, _, errors = script("print 3", options=("--python", "3"))
    assert code == 1
    assert "SyntaxError" in errors


def test_python_2s_ways_with_its_own_modules(script: Run, tmp_path: Path, fissix: None) -> None:
    (tmp_path / "settings.py").write_text("half = 3 / 2\nprint 'read'", encoding="utf-8")
    text = (
        "import sys, string\nreload(sys)\nsys.setdefaultencoding('utf-8')\n"
        "execfile('settings.py')\n"
        "print half, string.join(['a', 'b'], '-'), string.upper('x'), unicode('é', 'utf-8')\n"
        "print open('settings.py', 'rU').readlines()[1]\n"
    )
    code, output, errors = script(text)
    assert (code, output) == (0, "read\n1 a-b X é\nprint 'read'\n"), errors


def test_the_translation_is_shown_and_not_run(script: Run, fissix: None) -> None:
    code, output, errors = script("print 3 / 2\n", options=("--show-translation",))
    assert (code, errors) == (0, "")
    assert output.splitlines()[3:] == ["-print 3 / 2", "+print(py2_divide(3 , 2))"]
    assert script("print(3)", options=("--show-translation",))[:2] == (0, "")


def test_names_of_numpy_and_opencv_are_as_they_were(script: Run) -> None:
    text = (
        "import numpy as np, cv2, time\n"
        "x = np.array([1.7]).astype(np.int).astype(np.float)\n"
        "y = np.fromstring(b'ab', dtype=np.uint8)\n"
        "start = time.clock()\n"
        "print(x, y, np.asscalar(x), np.fromstring('1 2', sep=' '), cv2.CV_LOAD_IMAGE_COLOR)\n"
    )
    assert script(text)[:2] == (0, "[1.] [97 98] 1.0 [1. 2.] 1\n")


RESNET = """
name: "a small residual network"
layer { name: "data" type: "Input" top: "data"
  input_param { shape: { dim: 1 dim: 3 dim: 32 dim: 32 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 8 kernel_size: 7 pad: 3 stride: 2 } }
layer { name: "bn1" type: "BatchNorm" bottom: "conv1" top: "conv1"
  batch_norm_param { use_global_stats: true } }
layer { name: "scale1" type: "Scale" bottom: "conv1" top: "conv1" scale_param { bias_term: true } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { kernel_size: 3 stride: 2 } }
layer { name: "branch" type: "Convolution" bottom: "pool1" top: "branch"
  convolution_param { num_output: 8 kernel_size: 3 pad: 1 bias_term: false } }
layer { name: "bn2" type: "BatchNorm" bottom: "branch" top: "bn2" }
layer { name: "scale2" type: "Scale" bottom: "bn2" top: "bn2" scale_param { bias_term: true } }
layer { name: "sum" type: "Eltwise" bottom: "pool1" bottom: "bn2" top: "sum" }
layer { name: "relu2" type: "ReLU" bottom: "sum" top: "sum" }
layer { name: "pool" type: "Pooling" bottom: "sum" top: "pool"
  pooling_param { pool: AVE kernel_size: 8 stride: 1 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
  inner_product_param { num_output: 4 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""

CLASSIFY = """#!/usr/bin/env python
import argparse, string, sys, urllib
import cPickle as pickle
import numpy as np
from StringIO import StringIO
import caffe

def center(image, size):
    top = max((image.shape[0] - size) / 2, 0)
    left = max((image.shape[1] - size) / 2, 0)
    return image[top:top + size, left:left + size, :]

def main(argv):
    parser = argparse.ArgumentParser()
    parser.add_argument("picture")
    parser.add_argument("--model_def")
    parser.add_argument("--pretrained_model")
    args = parser.parse_args()
    local = open(args.picture).read()
    fetched = urllib.urlopen('file://' + args.picture).read()
    assert str(local) == fetched
    net = caffe.Net(args.model_def, args.pretrained_model, caffe.TEST)
    image = caffe.io.load_image(StringIO(local))
    transformer = caffe.io.Transformer({'data': net.blobs['data'].data.shape})
    transformer.set_transpose('data', (2, 0, 1))
    transformer.set_mean('data', np.array([104, 117, 123]))
    transformer.set_raw_scale('data', 255)
    transformer.set_channel_swap('data', (2, 1, 0))
    prepared = transformer.preprocess('data', center(image, net.blobs['data'].width))
    prepared.shape = (1,) + prepared.shape
    out = net.forward_all(blobs=['prob'], **{net.inputs[0]: prepared})
    names = dict(zip(xrange(4), string.letters[:4]))
    pickle.dump(names, open('names.pkl', 'w'))
    for k, name in sorted(pickle.load(open('names.pkl')).iteritems()):
        print '%s %.5f' % (name, out['prob'][0][k]),
    print
    for name, blob in net.blobs.iteritems():
        print >>sys.stderr, name, blob.data.shape

if __name__ == '__main__':
    main(sys.argv)
"""


def test_a_classifier_in_python_2_with_a_residual_network(
    script: Run, engine: str, tmp_path: Path, fissix: None
) -> None:
    from cam.caffe.network import parse_network

    (tmp_path / "deploy.prototxt").write_text(RESNET, encoding="utf-8")
    network = parse_network(RESNET)
    messages = [layer.message for layer in network.layers]
    weights = reference.random_weights(messages, network.weight_shapes, seed=1)
    weights["fc"] = (weights["fc"][0] * np.float32(0.05), weights["fc"][1])
    model = tmp_path / "resnet.caffemodel"
    write_caffemodel(model, CaffeModel(upgraded(network.message), weights))
    pixels = np.random.default_rng(2).integers(0, 256, (41, 50, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "picture.png"), pixels)
    code, output, errors = script(
        CLASSIFY,
        *(tmp_path / "picture.png", "--model_def", "deploy.prototxt"),
        *("--pretrained_model", "resnet.caffemodel"),
        engine=engine,
    )
    assert code == 0, errors
    crop = pixels[4:36, 9:41].transpose(2, 0, 1) - np.array([104, 117, 123.0]).reshape(3, 1, 1)
    wanted = reference.forward(messages, {"data": crop[np.newaxis]}, weights)["prob"][0]
    printed = output.split()
    assert printed[::2] == list("abcd")
    np.testing.assert_allclose([float(each) for each in printed[1::2]], wanted, atol=1.1e-5)
    assert "bn2 (1, 8, 8, 8)" in errors


# --- windows -------------------------------------------------------------------------------------

WINDOWS = """
import cv2, numpy as np
image = np.zeros((4, 6, 3)); image[:, :, 2] = 1
cv2.namedWindow('a/b')
cv2.imshow('a/b', image)
cv2.imshow('a/b', image)
print(cv2.waitKey(0))
while True:
    cv2.imshow('loop', image * 0.5)
    if cv2.waitKey(20) & 0xFF == ord('q'):
        break
cv2.imshow('bytes', np.full((2, 2), 7, np.uint8))
cv2.imshow('deep', np.full((2, 2), 7 * 256, np.uint16))
cv2.destroyAllWindows()
"""


def test_windows_become_files(script: Run, tmp_path: Path) -> None:
    code, output, errors = script(WINDOWS, options=("--save-windows", "out"))
    assert code == 0, errors
    assert int(output) == 27
    assert errors == f"cam: windows are written to {tmp_path / 'out'}\n"
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["001-a_b.png", "002-loop.png", "003-bytes.png", "004-deep.png"]
    read = [cv2.imread(str(tmp_path / "out" / name)) for name in names]
    assert read[0].shape == (4, 6, 3)
    assert read[0][0, 0].tolist() == [0, 0, 255]
    assert read[1][0, 0].tolist() == [0, 0, 128]
    assert read[2][0, 0].tolist() == read[3][0, 0].tolist() == [7, 7, 7]


def test_without_a_display_windows_become_files_by_themselves(script: Run, tmp_path: Path) -> None:
    code, _, errors = script("import cv2, numpy\ncv2.imshow('x', numpy.zeros((2, 2)))")
    assert code == 0, errors
    assert [path.name for path in (tmp_path / "windows").iterdir()] == ["001-x.png"]


def test_with_a_display_windows_are_left_alone(
    script: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":7")
    shown: list[str] = []
    monkeypatch.setattr(cv2, "imshow", lambda name, picture: shown.append(name))
    assert script("import cv2\ncv2.imshow('x', None)")[0] == 0
    assert shown == ["x"]
    assert not (tmp_path / "windows").exists()


def test_figures_become_files(script: Run, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    text = (
        "import matplotlib\nmatplotlib.use('TkAgg')\n"
        "import matplotlib.pyplot as plt\n"
        "plt.plot([1, 2])\nplt.figure('named: two')\nplt.show()\n"
        "print(plt.get_fignums())\n"
        "fig = plt.figure()\nfig.canvas.manager.set_window_title('set')\nplt.pause(0.01)\n"
        "print(plt.get_fignums())\n"
    )
    code, output, errors = script(text)
    assert (code, output) == (0, "[]\n[1]\n"), errors
    files = sorted((tmp_path / "windows").iterdir())
    names = ["001-Figure 1.png", "002-named_ two.png", "003-set.png"]
    assert [path.name.replace(":", "_") for path in files] == names
    assert cv2.imread(str(files[0])).shape == (480, 640, 3)


# --- the example ---------------------------------------------------------------------------------


def seeded(name: str, folder: Path) -> tuple[Path, Path]:
    prototxt = REPOSITORY / "models" / f"deploy_{name}.prototxt"
    path = folder / f"{name}.caffemodel"
    network = load_network(prototxt)
    write_caffemodel(path, CaffeModel(upgraded(network.message), seeded_weights(network)))
    return prototxt, path


EXAMPLE = REPOSITORY / "examples" / "py_demo_style.py"
PREPARED = ["--rgb", "--mean", 127, 127, 127, "--scale", 1 / 128]


@pytest.mark.parametrize("name", ["embedded", "googlenet"])
def test_the_example_gives_the_pictures_of_cam_run(
    run: Run, tmp_path: Path, engine: str, name: str, coffee: Path
) -> None:
    if name == "embedded":
        files: list[object] = [REPOSITORY / each for each in EMBEDDED]
        layers: list[object] = ["--last-conv", "head/relu6", "--class-layer", "classifier"]
        layers += PREPARED
        network: list[object] = []
    else:
        files = list(seeded("googlenetCAM", tmp_path))
        layers, network = [], ["--prototxt", files[0], "--weights", files[1]]
    command = ["script", "--engine", engine, "--save-windows", "shown", EXAMPLE, coffee]
    code, output, errors = run(*command, *files, *layers)
    assert code == 0, errors
    assert run("run", coffee, "-o", "out", "--engine", "openvino", *network)[0] == 0
    shown = sorted((tmp_path / "shown").iterdir())
    overlays = sorted((tmp_path / "out" / "coffee").glob("top*_overlay.png"))
    assert len(shown) == len(overlays) == len(output.splitlines()) == 5
    for window, overlay in zip(shown, overlays, strict=True):
        first, second = (cv2.imread(str(path)).astype(int) for path in (window, overlay))
        assert (np.abs(first - second).max(axis=2) <= 1).mean() >= 0.999


def test_options_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    (tmp_path / "old.py").write_text("", encoding="utf-8")
    with pytest.raises(CamError, match="no engine 'tensorflow'"):
        run_script(Script(tmp_path / "old.py"), engine="tensorflow")
    with pytest.raises(CamError, match="no Python '4'"):
        Script(tmp_path / "old.py", "4")
