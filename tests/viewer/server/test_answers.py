from __future__ import annotations

import base64
import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import loadmat

from cam.explain.model import CamModel
from cam.matlab import write_mat
from cam.pictures.reading import write_picture
from cam.viewer.server import schemas


def maps_of(answer: dict[str, Any]) -> NDArray[np.float32]:
    packed = answer["maps"]
    return np.frombuffer(base64.b64decode(packed["data"]), "<f4").reshape(packed["shape"])


def picture_of(file: bytes) -> NDArray[np.uint8]:
    picture = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return picture.astype(np.uint8)


@pytest.mark.parametrize("style", ["pycaffe", "matlab"])
def test_explain_gives_the_classes_and_maps_of_the_library(
    client: httpx.Client, model: CamModel, photograph: bytes, coffee: Path, style: str
) -> None:
    answer = client.post(f"/api/explain?style={style}&top=3", content=photograph).json()
    alone = model.explain(coffee, top=3, style=style)
    assert [entry["index"] for entry in answer["classes"]] == alone.indices.tolist()
    assert [entry["name"] for entry in answer["classes"]] == list(alone.names)
    np.testing.assert_array_equal(
        [entry["probability"] for entry in answer["classes"]], alone.probabilities
    )
    np.testing.assert_array_equal(maps_of(answer), alone.maps)
    assert (answer["rows"], answer["columns"]) == alone.picture_size
    assert answer["record"] == json.loads(json.dumps(alone.record))


def test_requests_at_the_same_time_get_what_each_would_get_alone(
    client: httpx.Client, model: CamModel, coffee: Path, photograph: bytes
) -> None:
    picture = picture_of(photograph)
    parts = [picture[10 * number :, 12 * number :] for number in range(12)]
    files = [cv2.imencode(".png", part)[1].tobytes() for part in parts]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda file: client.post("/api/explain", content=file), files))
    for part, answer in zip(parts, answers, strict=True):
        alone = model.explain(part)
        found = answer.json()
        assert [entry["index"] for entry in found["classes"]] == alone.indices.tolist()
        # Streams side by side divide the work of a layer otherwise: rounding of float32.
        np.testing.assert_allclose(maps_of(found), alone.maps, atol=1e-3 * alone.maps.max())


def test_any_class_is_explained_by_its_number_its_name_or_its_wordnet_id(
    client: httpx.Client, photograph: bytes
) -> None:
    wanted = "class=1&class=n07930864&class=goldfish"
    answer = client.post(f"/api/explain?{wanted}", content=photograph).json()
    assert [entry["index"] for entry in answer["classes"]] == [1, 968, 1]


def test_frame_boxes_and_overlays_come_if_they_are_asked_for(
    client: httpx.Client, model: CamModel, photograph: bytes, coffee: Path
) -> None:
    plain = client.post("/api/explain?top=2", content=photograph).json()
    assert "frame" not in plain
    assert [entry["boxes"] for entry in plain["classes"]] == [[], []]
    query = "top=2&include=frame&include=boxes&include=overlays"
    answer = client.post(f"/api/explain?{query}", content=photograph).json()
    alone = model.explain(coffee, top=2)
    frame = picture_of(base64.b64decode(answer["frame"].partition(",")[2]))
    np.testing.assert_array_equal(frame, alone.frame)
    for k, entry in enumerate(answer["classes"]):
        assert entry["boxes"] == [list(box) for box in alone.boxes(k)]
        overlay = picture_of(base64.b64decode(entry["overlay"].partition(",")[2]))
        np.testing.assert_array_equal(overlay, alone.overlay(k))


def test_overlay_is_the_published_one(
    client: httpx.Client, model: CamModel, photograph: bytes, coffee: Path
) -> None:
    alone = model.explain(coffee, style="matlab")
    answer = client.post("/api/overlay?style=matlab&k=1", content=photograph)
    assert answer.headers["content-type"] == "image/png"
    np.testing.assert_array_equal(picture_of(answer.content), alone.overlay(1))
    answer = client.post("/api/overlay?style=matlab&k=1&format=jpg", content=photograph)
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.content.startswith(b"\xff\xd8")


@pytest.mark.parametrize(
    "drawing",
    [
        {"size": "picture"},
        {"size": "picture", "colormap": "viridis", "alpha": 0.5},
        {"size": 300, "boxes": "paper"},
        {"color_bar": True, "colormap": "cividis"},
    ],
)
def test_overlays_are_drawn_as_the_library_draws_them(
    client: httpx.Client,
    model: CamModel,
    photograph: bytes,
    coffee: Path,
    drawing: dict[str, Any],
) -> None:
    answer = client.post("/api/overlay", params=drawing, content=photograph)
    overlay = model.explain(coffee).overlay(0, **drawing)
    np.testing.assert_array_equal(picture_of(answer.content), overlay)


def test_exports_hold_what_the_library_writes(
    client: httpx.Client, model: CamModel, photograph: bytes, coffee: Path
) -> None:
    alone = model.explain(coffee)
    answer = client.post("/api/export?format=npz", content=photograph)
    assert answer.headers["content-disposition"] == 'attachment; filename="cam.npz"'
    with np.load(io.BytesIO(answer.content), allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["maps"], alone.maps)
        np.testing.assert_array_equal(arrays["heat_maps"], alone.heat_maps.astype(np.float32))
    answer = client.post("/api/export?format=mat", content=photograph)
    assert alone.output is not None
    np.testing.assert_array_equal(
        np.squeeze(loadmat(io.BytesIO(answer.content))["activation_lastconv"]),
        alone.output.activations[0].T,
    )
    answer = client.post("/api/export?format=png", content=photograph)
    np.testing.assert_array_equal(picture_of(answer.content), alone.montage(captions=True))


def compared(client: httpx.Client, photograph: bytes, result: Path, query: str) -> dict[str, Any]:
    files = {"picture": ("coffee.png", photograph), "result": (result.name, result.read_bytes())}
    answer = client.post(f"/api/compare?{query}", files=files)
    assert answer.status_code == 200, answer.text
    return schemas.Compared.model_validate(answer.json()).model_dump()


def test_a_picture_is_compared_with_the_features_of_the_same_one(
    client: httpx.Client, model: CamModel, photograph: bytes, coffee: Path, tmp_path: Path
) -> None:
    alone = model.explain(coffee, style="matlab")
    alone.to_mat(tmp_path / "features.mat")
    found = compared(client, photograph, tmp_path / "features.mat", "style=matlab")
    assert found["within"]
    assert {"activations", "maps", "heat_maps"} <= {one["quantity"] for one in found["quantities"]}
    cams = alone.maps.transpose(3, 2, 1, 0).copy()
    cams[0, 0, 0, :] += cams.max()
    write_mat(tmp_path / "cams.mat", {"cams": cams, "idx": alone.indices + 1})
    found = compared(client, photograph, tmp_path / "cams.mat", "style=matlab")
    assert not found["within"]
    assert found["ranking"]["within"]


def test_a_picture_is_compared_with_a_composite_figure(
    client: httpx.Client, model: CamModel, photograph: bytes, coffee: Path, tmp_path: Path
) -> None:
    write_picture(tmp_path / "result.jpg", model.explain(coffee, style="matlab").montage())
    found = compared(client, photograph, tmp_path / "result.jpg", "style=matlab")
    frame = next(one for one in found["quantities"] if one["quantity"] == "frame")
    assert frame["correlation"] > 0.99
    assert any("JPEG" in note for note in found["notes"])


def test_lists_say_what_can_be_asked_for(client: httpx.Client) -> None:
    listed = client.get("/api/models").json()
    first = listed["models"][0]
    assert (first["name"], first["default"], first["available"]) == (
        "efficientnet-lite0",
        True,
        True,
    )
    assert listed["styles"] == ["pycaffe", "matlab"]
    found = client.get("/api/models/efficientnet-lite0/classes?query=GOLDFISH").json()
    assert found == {
        "classes": [{"index": 1, "name": "n01443537 goldfish, Carassius auratus"}],
        "found": 1,
    }
    all_classes = client.get("/api/models/efficientnet-lite0/classes").json()
    assert len(all_classes["classes"]) == all_classes["found"] == first["classes"] == 1000
    some = client.get("/api/models/efficientnet-lite0/classes?limit=7").json()
    assert (len(some["classes"]), some["found"]) == (7, 1000)


def test_answers_are_as_the_openapi_document_says(client: httpx.Client, photograph: bytes) -> None:
    query = "include=frame&include=boxes&include=overlays"
    answer = client.post(f"/api/explain?{query}", content=photograph)
    schemas.Explained.model_validate_json(answer.content, strict=True)
    assert set(answer.json()) == set(schemas.Explained.model_fields)
    document = client.get("/openapi.json").json()
    assert {path: list(methods) for path, methods in document["paths"].items()} == {
        "/api/health": ["get"],
        "/api/models": ["get"],
        "/api/models/{name}/classes": ["get"],
        "/api/colormaps": ["get"],
        "/api/explain": ["post"],
        "/api/overlay": ["post"],
        "/api/export": ["post"],
        "/api/compare": ["post"],
    }
    assert client.get("/docs").status_code == client.get("/redoc").status_code == 404
