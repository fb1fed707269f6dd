from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import cam
from cam.caffe.preprocessing import ILSVRC_2012_MEAN
from cam.errors import CamError
from cam.explain.drawing import FORMATS, Drawing
from cam.explain.explanation import Explanation
from cam.explain.model import CamModel
from cam.explain.styles import MatlabStyle, PycaffeStyle, Style
from cam.localization import levels_of_colors
from cam.maps.colors import COLOR_BLIND_SAFE, OPENCV_COLORMAPS, colors, colors_of
from cam.maps.ten_crops import ten_crop_positions
from cam.pictures.reading import read_picture, write_picture

STYLES = [PycaffeStyle(), PycaffeStyle("crop"), MatlabStyle()]
HD = (1080, 1920)


@pytest.fixture(scope="module")
def model() -> CamModel:
    return cam.load("efficientnet-lite0", engine="openvino")


@pytest.fixture(scope="module")
def result(model: CamModel, coffee: Path) -> Explanation:
    return model.explain(coffee, top=2)


def noise(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)


def explained(picture: Any, style: Style, maps: np.ndarray, names: str = "a") -> Explanation:
    """Return an explanation whose raw maps (crops, T, h, w) are known."""
    pixels = read_picture(picture)
    frame = style.prepare(pixels, 224, ILSVRC_2012_MEAN).frame
    return Explanation(
        frame=frame,
        picture_size=pixels.shape[:2],
        scores=np.array([0.75, 0.25], np.float32),
        indices=np.arange(maps.shape[1]),
        names=tuple(names)[: maps.shape[1]],
        maps=maps.astype(np.float32),
        crop_size=224,
        style=style,
        record={"model": "known", **style.record},
        source=picture,
    )


def heat_of(result: Explanation, **options: Any) -> np.ndarray:
    """Return the levels of a heat map, read from its colours; 2 of 256 are another's."""
    picture = result.heat_picture(0, colormap="viridis", **options)
    return levels_of_colors(picture, colors("viridis")).astype(int)


def lit(style: Style, spot: tuple[float, float]) -> np.ndarray:
    """Return raw maps that are lit where `spot`, in shares of the picture, lies in each crop.

    Each crop has 224 cells a side, one for each pixel of the frame.
    """
    maps = np.zeros((style.crops, 1, 224, 224))
    frame_row, frame_column = (int(share * 256) for share in spot)
    if isinstance(style, MatlabStyle):
        for crop_map, (row, column, mirrored) in zip(
            maps[:, 0], ten_crop_positions(224), strict=True
        ):
            y, x = frame_row - row, frame_column - column
            if 0 <= y < 224 and 0 <= x < 224:
                crop_map[y, 223 - x if mirrored else x] = 1
    elif style.placement == "crop":
        maps[0, 0, frame_row - 16, frame_column - 16] = 1
    else:
        maps[0, 0, int(spot[0] * 224), int(spot[1] * 224)] = 1
    return maps


@pytest.mark.parametrize("style", STYLES, ids=lambda style: "-".join(style.record.values()))
@pytest.mark.parametrize("size", [HD, (517, 333)])
@pytest.mark.parametrize("spot", [(0.5 + 1 / 1024, 0.25 + 1 / 1024), (0.8, 0.7)])
def test_what_lies_at_a_spot_of_the_picture_lights_up_there_to_a_pixel(
    style: Style, size: tuple[int, int], spot: tuple[float, float]
) -> None:
    drawn = explained(noise(size), style, lit(style, spot))
    heat = heat_of(drawn, size="picture")
    assert heat.shape == size
    rows, columns = np.nonzero(heat > 127)
    cells = 224 if style == PycaffeStyle() else 256
    for found, share, length in zip((rows, columns), spot, size, strict=True):
        # The cell that is lit, in the picture's pixels.
        first = int(share * cells) / cells * length
        middle = first + length / cells / 2
        assert abs((found.min() + found.max() + 1) / 2 - middle) <= 1


@pytest.mark.parametrize("style", STYLES, ids=lambda style: "-".join(style.record.values()))
def test_on_a_picture_of_the_frames_size_both_sizes_are_the_same(style: Style) -> None:
    maps = np.random.default_rng(3).standard_normal((style.crops, 1, 14, 14))
    drawn = explained(noise((256, 256)), style, maps)
    apart = np.abs(heat_of(drawn, size="picture") - heat_of(drawn))
    # Sums in another order may round the other way.
    assert apart.max() <= 1
    assert (apart > 0).mean() < 1e-3
    changed = drawn.overlay(0, size="picture") != drawn.overlay(0)
    assert changed.mean() < 1e-3


def test_ten_crops_are_merged_in_the_pictures_own_geometry() -> None:
    # Where a crop begins in the picture, here at 32 of 256 columns, its map begins.
    maps = np.zeros((10, 1, 14, 14))
    maps[[2, 3]] = 1
    heat = heat_of(explained(noise(HD), MatlabStyle(), maps), size="picture")
    assert not heat[:, :240].any()
    assert (heat[:, 240:] > 0).all()
    # Both crops cover rows 135 to 944; each covers the rest alone.
    assert np.unique(heat[135:945, 240:]).tolist() == [255]
    assert np.unique(heat[:135, 240:]).tolist() == [128]


def test_a_map_is_enlarged_once_and_not_from_the_frame() -> None:
    maps = np.random.default_rng(4).standard_normal((1, 1, 14, 14)).astype(np.float32)
    result = explained(noise(HD), PycaffeStyle(), maps)
    at_once = cv2.resize(maps[0, 0].astype(np.float64), HD[::-1])
    levels = np.rint(255 * (at_once - at_once.min()) / np.ptp(at_once)).astype(np.uint8)
    expected = cv2.applyColorMap(levels, cv2.COLORMAP_JET)
    apart = (result.heat_picture(0, size="picture") != expected).any(axis=2)
    assert apart.mean() < 1e-5


def test_the_published_blend_at_the_pictures_size_is_that_of_the_ports_arithmetic() -> None:
    picture, maps = noise((300, 500)) // 2 + 20, np.random.default_rng(5).random((1, 1, 7, 7))
    result = explained(picture, PycaffeStyle(), maps)
    for name in ("jet", "viridis"):
        heat = result.heat_picture(0, size="picture", colormap=name)
        stretched = [
            (one.astype(float) - one.min()) / (float(one.max()) - one.min())
            for one in (picture, heat)
        ]
        expected = np.rint(255 * (0.2 * stretched[0] + 0.7 * stretched[1]))
        overlay = result.overlay(0, size="picture", colormap=name).astype(int)
        assert np.abs(overlay - expected).max() <= 1
        assert (overlay != expected).mean() < 1e-4


@pytest.mark.parametrize("style", STYLES, ids=lambda style: "-".join(style.record.values()))
def test_alpha_is_the_heat_maps_share(style: Style) -> None:
    maps = np.random.default_rng(6).standard_normal((style.crops, 1, 7, 7))
    result = explained(noise((80, 120)), style, maps)
    picture = result.picture.astype(float)
    heat = result.heat_picture(0, size="picture", colormap="magma").astype(float)
    for alpha in (0.0, 0.3, 1.0):
        overlay = result.overlay(0, size="picture", colormap="magma", alpha=alpha)
        np.testing.assert_allclose(overlay, (1 - alpha) * picture + alpha * heat, atol=0.51)
    usual = result.overlay(0, size="picture", colormap="magma", blend="alpha")
    np.testing.assert_allclose(usual, 0.5 * picture + 0.5 * heat, atol=0.51)


def test_heat_with_transparency_laid_over_the_picture_is_the_overlay(result: Explanation) -> None:
    options = {"size": "picture", "colormap": "cividis", "alpha": 0.4}
    heat = Image.fromarray(result.heat_rgba(0, **options))
    picture = Image.fromarray(np.ascontiguousarray(result.picture[:, :, ::-1])).convert("RGBA")
    composed = np.asarray(Image.alpha_composite(picture, heat))[:, :, 2::-1].astype(int)
    assert np.abs(composed - result.overlay(0, **options)).max() <= 1


def test_the_default_drawing_is_the_published_one(result: Explanation, tmp_path: Path) -> None:
    published = result.style.overlays(result.frame, result.levels)
    for k in range(2):
        for options in ({}, {"drawing": Drawing()}, {"blend": "published", "colormap": "jet"}):
            np.testing.assert_array_equal(result.overlay(k, **options), published[k])
    plain = {path.name: path.read_bytes() for path in result.save(tmp_path / "a")}
    said = result.save(tmp_path / "b", drawing=Drawing(), columns=9)
    assert {path.name: path.read_bytes() for path in said} == plain


@pytest.mark.parametrize("size", [(900, 1), (1, 900), (2, 3), (1, 1), (600, 7)])
@pytest.mark.parametrize("style", STYLES, ids=lambda style: "-".join(style.record.values()))
def test_narrow_tall_and_tiny_pictures_are_drawn(style: Style, size: tuple[int, int]) -> None:
    maps = np.random.default_rng(7).standard_normal((style.crops, 1, 14, 14))
    result = explained(noise(size), style, maps)
    assert result.overlay(0, size="picture", boxes=True).shape == (*size, 3)
    assert max(result.overlay(0, size=64).shape[:2]) == 64
    assert result.montage(captions=True, size="picture", color_bar=True, columns=1).ndim == 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_that_a_camera_turned_are_drawn_upright(
    orientation: int, tmp_path: Path, model: CamModel, coffee: Path
) -> None:
    upright = Image.open(coffee).convert("RGB")
    how = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}.get(orientation)
    stored = upright if how is None else upright.transpose(Image.Transpose(how))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "turned.png", exif=exif)
    result = model.explain(tmp_path / "turned.png", top=1)
    np.testing.assert_array_equal(result.picture, cv2.imread(str(coffee)))
    drawn = result.overlay(0, size="picture", alpha=0.0)
    np.testing.assert_array_equal(drawn, cv2.imread(str(coffee)))


def test_grey_pictures_and_pillow_images_are_drawn_at_their_size(model: CamModel) -> None:
    grey = noise((90, 130))[:, :, 0]
    for source in (grey, Image.fromarray(grey)):
        drawn = model.explain(source, top=1).overlay(0, size="picture", alpha=0.0)
        np.testing.assert_array_equal(drawn, np.repeat(grey[:, :, np.newaxis], 3, axis=2))


def test_a_saved_result_finds_its_picture_or_says_what_is_missing(
    model: CamModel, coffee: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = tmp_path / "photo.png"
    picture.write_bytes(coffee.read_bytes())
    monkeypatch.chdir(tmp_path)
    result = model.explain("photo.png", top=1)
    result.save(tmp_path / "out")
    monkeypatch.chdir("/")
    expected = result.overlay(0, size="picture")
    loaded = Explanation.load(tmp_path / "out")
    np.testing.assert_array_equal(loaded.overlay(0, size="picture"), expected)
    picture.rename(tmp_path / "moved.png")
    with pytest.raises(CamError, match=r"photo\.png is gone; name it"):
        loaded.overlay(0, size="picture")
    np.testing.assert_array_equal(loaded.overlay(0), result.overlay(0))
    named = Explanation.load(tmp_path / "out", picture=tmp_path / "moved.png")
    np.testing.assert_array_equal(named.overlay(0, size="picture"), expected)
    with pytest.raises(CamError, match="not here"):
        replace(loaded, source=None).overlay(0, size=512)


def test_another_picture_of_the_same_size_is_refused(result: Explanation) -> None:
    other = np.ascontiguousarray(result.picture[::-1])
    with pytest.raises(CamError, match="not the picture that was explained"):
        replace(result, source=other).overlay(0, size="picture")
    with pytest.raises(CamError, match="not the picture that was explained"):
        replace(result, source=result.picture[:-1]).overlay(0, size="picture")


def test_explaining_an_array_does_not_copy_it(model: CamModel) -> None:
    picture = noise((50, 60))
    result = model.explain(picture, top=1)
    assert result.source is picture
    assert np.shares_memory(result.picture, picture)


def test_boxes_lie_where_they_lie_on_the_picture(result: Explanation) -> None:
    (x1, y1, x2, y2) = result.boxes(0, Drawing(boxes="paper").box_rule)[0].inclusive_corners
    plain = result.overlay(0, size="picture", alpha=0.5)
    drawn = result.overlay(0, size="picture", alpha=0.5, boxes="paper")
    rows, columns = np.nonzero((drawn != plain).any(axis=2))
    line = 4
    assert abs(rows.min() - y1) <= line
    assert abs(rows.max() - y2) <= line
    assert abs(columns.min() - x1) <= line
    assert abs(columns.max() - x2) <= line
    in_frame = np.nonzero((result.overlay(0, boxes="paper") != result.overlay(0)).any(axis=2))
    assert abs(in_frame[1].max() - x2 * 256 / 600) <= line


def test_saliency_lies_over_the_map_in_colours_of_its_own(result: Explanation) -> None:
    maps = np.zeros((1, 2, 224, 224), np.float32)
    maps[0, 0, 100:124, 50:60] = 1
    salient = replace(result, maps=maps, class_layer=None)
    plain, drawn = result.overlay(0), result.overlay(0, saliency=salient)
    changed = (plain != drawn).any(axis=2)
    assert 0 < changed.mean() < 0.05
    np.testing.assert_array_equal(drawn[128, 62], colors("cool")[255])
    assert result.overlay(0, size="picture", saliency=salient).shape == (400, 600, 3)


def test_a_color_bar_stands_beside_and_names_the_maps_extremes(result: Explanation) -> None:
    plain, barred = result.overlay(0), result.overlay(0, color_bar=True)
    np.testing.assert_array_equal(barred[:, :256], plain)
    bar = barred[:, 264]
    np.testing.assert_array_equal(bar[[0, -1]], colors("jet")[[255, 0]])
    assert (barred[:, 285:] < 128).any()


def test_rows_of_a_montage_have_at_most_so_many_pictures(result: Explanation) -> None:
    assert result.montage(columns=2).shape == (2 * 256 + 8, 2 * 256 + 8, 3)
    np.testing.assert_array_equal(result.montage(columns=3), result.montage())
    assert np.unique(result.montage(columns=2)[264:, 264:]).tolist() == [255]


def test_the_pictures_of_a_montage_stay_of_a_size_that_can_be_opened(model: CamModel) -> None:
    result = model.explain(noise((1500, 3000)), top=1)
    assert result.montage(size="picture").shape == (512, 2 * 1024 + 8, 3)
    assert result.montage(size=2000).shape == (1000, 2 * 2000 + 8, 3)


@pytest.mark.parametrize("kind", FORMATS)
def test_results_are_written_in_each_format_and_replace_those_of_another(
    result: Explanation, tmp_path: Path, kind: str
) -> None:
    result.save(tmp_path)
    files = result.save(tmp_path, format=kind, size="picture", plain_names=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in files)
    assert f"top1_espresso_overlay.{kind}" in {path.name for path in files}
    overlay = (tmp_path / f"top1_espresso_overlay.{kind}").read_bytes()
    result.save(tmp_path, format=kind, size="picture", plain_names=True)
    assert (tmp_path / f"top1_espresso_overlay.{kind}").read_bytes() == overlay
    begins = {"png": b"\x89PNG", "jpg": b"\xff\xd8", "pdf": b"%PDF", "svg": b"<?xml"}[kind]
    assert overlay.startswith(begins)


def test_heat_maps_with_transparency_are_written_as_such(
    result: Explanation, tmp_path: Path
) -> None:
    result.save(tmp_path, rgba=True, alpha=0.25)
    written = np.asarray(Image.open(tmp_path / "top1_n07920052_espresso_heat.png"))
    np.testing.assert_array_equal(written, result.heat_rgba(0, alpha=0.25))
    assert np.unique(written[:, :, 3]).tolist() == [64]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": "huge"}, "no size 'huge'"),
        ({"size": 0}, "no size 0"),
        ({"size": True}, "no size True"),
        ({"alpha": 1.5}, "alpha is a share"),
        ({"alpha": float("nan")}, "alpha is a share"),
        ({"alpha": 0.5, "blend": "published"}, "alpha is for the blend"),
        ({"blend": "alhpa"}, "nearest: alpha"),
        ({"colormap": "virids"}, "nearest: viridis"),
        ({"columns": 0}, "0 pictures"),
        ({"format": "bmp"}, "no format 'bmp'"),
        ({"format": "jpg", "rgba": True}, "PNG"),
        ({"boxes": "mine"}, "mine"),
    ],
)
def test_what_is_no_way_of_drawing_is_said(
    result: Explanation, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(CamError, match=said):
        result.overlay(0, **options)


def test_the_table_of_opencvs_colour_maps_is_opencvs() -> None:
    known = {name[9:].lower() for name in dir(cv2) if name.startswith("COLORMAP_")}
    assert set(OPENCV_COLORMAPS) <= known
    assert set(COLOR_BLIND_SAFE) <= set(OPENCV_COLORMAPS)


def test_matplotlibs_colour_maps_are_taken_by_name() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    for name in ("cubehelix", "RdBu_r", "coolwarm"):
        expected = matplotlib.colormaps[name](np.arange(256), bytes=True)[:, 2::-1]
        np.testing.assert_array_equal(colors_of(name), expected)
    np.testing.assert_array_equal(colors_of("Viridis_r"), colors("viridis")[::-1])


def test_a_colour_map_of_matplotlib_without_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(CamError, match="pip install matplotlib"):
        Drawing(colormap="Spectral")
    assert Drawing(colormap="viridis").colormap == "viridis"


def test_a_page_of_matplotlib_has_the_pictures_size(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    write_picture(tmp_path / "page.svg", noise((100, 200)))
    text = (tmp_path / "page.svg").read_text()
    assert 'width="72pt" height="36pt"' in text
