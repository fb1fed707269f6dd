"""The folder of the installed Caffe that is laid out like a checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from locations import DATA

from cam.zoo.caffe_root import caffe_root, link_models

pytestmark = pytest.mark.caffe

PROGRAM = """
#include <caffe/caffe.hpp>
#include <iostream>

int main(int, char** arguments) {
  caffe::Net<float> net(arguments[1], caffe::TEST);
  net.CopyTrainedLayersFrom(arguments[2]);
  net.Forward();
  std::cout << net.output_blobs()[0]->shape_string() << std::endl;
}
"""


@pytest.fixture
def root(project_caffe) -> Path:
    root = caffe_root()
    assert root is not None
    return root


@pytest.fixture
def environment(root, tmp_path) -> dict[str, str]:
    """Return an environment whose CAFFE_ROOT has the models of this checkout."""
    copy = tmp_path / "caffe"
    copy.mkdir()
    for path in root.iterdir():
        if path.name not in ("models", "data"):
            (copy / path.name).symlink_to(path)
    link_models(copy)
    without = ("DISPLAY", "PYTHONPATH")
    inherited = {name: value for name, value in os.environ.items() if name not in without}
    return {**inherited, "CAFFE_ROOT": str(copy), "GLOG_minloglevel": "2"}


def test_caffe_is_imported_from_its_python_folder(root) -> None:
    script = "import sys; sys.path.insert(0, sys.argv[1]); import caffe; print(caffe.__file__)"
    command = [sys.executable, "-c", script, str(root / "python")]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert found == f"{root}/python/caffe/__init__.py\n"


def test_the_mean_picture_is_caffes_file_and_the_projects_values(root, models) -> None:
    mean = np.load(root / "python" / "caffe" / "imagenet" / "ilsvrc_2012_mean.npy")
    assert mean.dtype == np.float64
    np.testing.assert_array_equal(mean, np.load(models / "ilsvrc_2012_mean.npy"))


def test_the_tools_run_from_build_tools(root) -> None:
    tools = root / "build" / "tools"
    for tool in ("convert_imageset", "compute_image_mean", "extract_features"):
        assert os.access(tools / tool, os.X_OK)
    finished = subprocess.run([tools / "caffe", "--version"], capture_output=True, text=True)
    assert finished.stdout == "caffe version 1.0.0\n"


def test_headers_and_libraries_of_cpp_programs_are_there(root) -> None:
    for header in ("caffe.hpp", "net.hpp", "layers/conv_layer.hpp", "proto/caffe.pb.h"):
        assert (root / "include" / "caffe" / header).is_file()
    for folder in (root / "lib", root / "build" / "lib"):
        assert (folder / "libcaffe.so").is_file()


@pytest.mark.slow
def test_a_cpp_program_is_built_and_runs_a_network(root, models, tmp_path) -> None:
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("there is no C++ compiler here")
    (tmp_path / "program.cpp").write_text(PROGRAM)
    places = [f"-I{root}/include", f"-L{root}/build/lib", f"-Wl,-rpath,{root}/build/lib"]
    libraries = ["-lcaffe", "-lboost_system", "-lglog", "-lprotobuf"]
    command = [compiler, "-DCPU_ONLY", *places, "program.cpp", *libraries, "-o", "program"]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    files = [models / f"efficientnet-lite0.{ending}" for ending in ("prototxt", "caffemodel")]
    finished = subprocess.run([tmp_path / "program", *files], capture_output=True, text=True)
    assert finished.stdout == "1 1000 (1000)\n"


@pytest.mark.slow
def test_a_script_that_uses_it_runs(environment, models) -> None:
    command = [sys.executable, DATA / "caffe_root_script.py"]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert re.fullmatch(r"predicted class: n\d{8} .+ of 1000\n", finished.stdout), finished.stderr
