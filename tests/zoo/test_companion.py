"""What lies beside a prototxt, whoever wrote it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cam.caffe.preprocessing import ILSVRC_2012_MEAN
from cam.errors import CamError
from cam.zoo.companion import Companion, read_companion, write_companion


@pytest.mark.parametrize("changed", [{"scale": 10**400}, {"mean": [10**400, 0, 0]}, {"mean": 1}])
def test_numbers_that_are_none_are_refused(changed: dict[str, Any], tmp_path: Path) -> None:
    prototxt = tmp_path / "deploy.prototxt"
    write_companion(prototxt, Companion("mine", "googlenet", ILSVRC_2012_MEAN, ("a", "b")))
    assert read_companion(prototxt) is not None
    content = json.loads((tmp_path / "network.json").read_text(encoding="utf-8"))
    content["preprocessing"].update(changed)
    (tmp_path / "network.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(CamError, match="not a whole description"):
        read_companion(prototxt)
