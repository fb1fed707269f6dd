"""What a command imports: the start is most of one picture's time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

IDLE = ("caffe", "filelock", "http.client", "onnx", "openvino.tools.ovc.convert", "rich", "scipy")


def test_a_warm_run_imports_nothing_that_it_does_not_use(tmp_path: Path) -> None:
    script = (
        "import sys; from cam.cli import main\n"
        "try: main(['demo', '--engine', 'openvino'])\n"
        f"finally: print([m for m in {IDLE!r} if sys.modules.get(m)])"
    )
    environment = {**os.environ, "CAM_COMPILED": str(tmp_path / "compiled")}
    for _ in ("compiles the network", "finds it"):
        finished = subprocess.run(
            [sys.executable, "-c", script],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
    assert finished.stdout.splitlines()[-1] == "[]"
