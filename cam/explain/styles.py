"""The two published ways from a picture to its overlays: the pycaffe port's and the original's.

A style says how crops are cut out of a picture, how the maps of the crops become one heat map of
the picture, and how that is coloured and laid over it. The steps are numbered as in the methods
page of the documentation (docs/method.md). A frame has 256 rows and columns, or more where the
network's crops are larger: `cam.pictures.reading.frame_size`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from cam.caffe.preprocessing import Preprocessing
from cam.errors import InvalidValueError, nearest_names
from cam.maps.activation_maps import enlarge_maps
from cam.maps.colors import colors_of, im2double, matlab_heat_levels, py_heat_levels
from cam.maps.overlays import HEAT_SHARE, PICTURE_SHARE, blend, blend_tables
from cam.maps.placing import WHOLE, Part, place_map
from cam.maps.ten_crops import CHANNELS, merge_ten_crop, ten_crop_positions
from cam.matlab import imresize, jet, mat2gray
from cam.pictures.reading import Picture, center_crop, frame_size

PLACEMENTS = ("stretch", "crop")
"""How the map of the center crop lies on the picture: over all of it, or where the crop was."""


@dataclass(frozen=True, eq=False)
class NetworkInput:
    """A picture ready for the network.

    Attributes
    ----------
    frame : numpy.ndarray
        uint8 (256, 256, 3) BGR: the resized picture, on which the overlays lie.
    batch : numpy.ndarray
        float32 (crops, 3, crop_size, crop_size): the network's input.
    picture_size : tuple of int
        Rows and columns of the picture itself.
    """

    frame: Picture
    batch: NDArray[np.float32]
    picture_size: tuple[int, int]


class Style(Protocol):
    """One way from a picture to its overlays."""

    @property
    def name(self) -> str:
        """The style's name."""

    @property
    def crops(self) -> int:
        """How many crops of a picture go through the network."""

    @property
    def composite_name(self) -> str:
        """The file name of the published composite figure; empty if the style has none."""

    @property
    def record(self) -> dict[str, str]:
        """What the record of a result says of the style."""

    def resize(self, picture: Picture, size: int) -> Picture:
        """Return the frame: the picture of `size` rows and columns that crops are cut out of."""

    def prepare(
        self, picture: Picture, crop_size: int, preprocessing: Preprocessing
    ) -> NetworkInput:
        """Resize a picture and cut the network's input out of it."""

    def class_order(self, scores: NDArray[np.float32]) -> NDArray[np.intp]:
        """Return the classes by descending score, for scores of shape (C,)."""

    def merge(self, maps: NDArray[np.float32], crop_size: int) -> NDArray[Any]:
        """Make maps of the whole picture (T, 256, 256) from the crops' (crops, T, h, w)."""

    def place(
        self, maps: NDArray[np.float32], crop_size: int, size: tuple[int, int], band: slice
    ) -> NDArray[Any]:
        """Merge one class's maps (crops, h, w) on rows of a picture of any size: (rows, columns).

        NaN stands where the network has seen nothing.
        """

    def normalize(
        self, merged: NDArray[Any], limits: tuple[float, float] | None = None
    ) -> NDArray[np.float64]:
        """Stretch one map of the whole picture to [0, 1], or what lies between these limits."""

    def levels(self, heat_map: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Return which of the 256 colours each pixel of a heat map gets."""

    def levels_of_maps(self, maps: NDArray[np.float32], crop_size: int) -> NDArray[np.uint8]:
        """Return the levels (T, 256, 256) of all classes: `merge`, `normalize` and `levels`."""

    def palette(self, colormap: str | None = None) -> NDArray[np.float64]:
        """Return the 256 colours, (256, 3) BGR in [0, 1]: the style's own, or those of a name."""

    def heat_picture(self, levels: NDArray[np.uint8], colormap: str | None = None) -> Picture:
        """Color a heat map, given its levels: uint8 BGR."""

    def overlays(
        self, frame: Picture, levels: NDArray[np.uint8], colormap: str | None = None
    ) -> NDArray[np.uint8]:
        """Lay heat maps over the picture: (T, rows, columns, 3) from levels (T, rows, columns)."""


@dataclass(frozen=True)
class PycaffeStyle:
    """One center crop, as `py_demo.py` of gcucurull/CAM-Python.

    Attributes
    ----------
    placement : {"stretch", "crop"}
        ``"stretch"`` lays the map of the center crop over the whole picture, as the port does
        although it belongs to the crop only; ``"crop"`` lays it where the crop was, with the
        lowest colour around it, of which the network has seen nothing.
    """

    placement: str = "stretch"
    name: str = "pycaffe"
    crops: int = 1
    composite_name: str = ""

    @property
    def record(self) -> dict[str, str]:
        """Name and placement."""
        return {"style": self.name, "placement": self.placement}

    def resize(self, picture: Picture, size: int) -> Picture:
        """Do step 1: OpenCV's bilinear resize."""
        return np.asarray(cv2.resize(picture, (size, size)), np.uint8)

    def prepare(
        self, picture: Picture, crop_size: int, preprocessing: Preprocessing
    ) -> NetworkInput:
        """Do steps 1 to 3: bilinear resize to 256×256, center crop, mean subtracted."""
        frame = self.resize(picture, frame_size(crop_size))
        channels = cv2.split(frame[center_crop(frame, crop_size)])
        if preprocessing.channels == "RGB":
            channels = channels[::-1]
        batch = np.empty((self.crops, 3, crop_size, crop_size), np.float32)
        for k, table in enumerate(_input_of_bytes(preprocessing)):
            cv2.LUT(channels[k], table, dst=batch[0, k])
        return NetworkInput(frame, batch, _size_of(picture))

    def class_order(self, scores: NDArray[np.float32]) -> NDArray[np.intp]:
        """Do step 4: ascending order read backwards."""
        return np.argsort(scores)[::-1]

    def merge(self, maps: NDArray[np.float32], crop_size: int) -> NDArray[np.float64]:
        """Do step 6: bilinear enlargement; outside the crop, if it is placed there, the minimum."""
        frame = frame_size(crop_size)
        size = frame if self.placement == "stretch" else crop_size
        enlarged = np.empty((maps.shape[1], size, size))
        for of_class, crop_map in zip(enlarged, maps[0].astype(np.float64), strict=True):
            cv2.resize(crop_map, (size, size), dst=of_class)
        if size == frame:
            return enlarged
        lowest = enlarged.min(axis=(1, 2), keepdims=True)
        merged = np.broadcast_to(lowest, (len(enlarged), frame, frame)).copy()
        before = (frame - size) // 2
        merged[:, before : before + size, before : before + size] = enlarged
        return merged

    def place(
        self, maps: NDArray[np.float32], crop_size: int, size: tuple[int, int], band: slice
    ) -> NDArray[np.float64]:
        """Do step 6 at the picture's own size: bilinear, from the crop's map at once."""
        frame, part = frame_size(crop_size), WHOLE
        if self.placement != "stretch":
            before = (frame - crop_size) // 2 / frame
            part = Part(before, before, crop_size / frame)
        merged = np.full((band.stop - band.start, size[1]), np.nan)
        placed = place_map(maps[0], part, size, band, "bilinear")
        merged[placed.rows, placed.columns] = placed.values
        return merged

    def normalize(
        self, merged: NDArray[Any], limits: tuple[float, float] | None = None
    ) -> NDArray[np.float64]:
        """Do the first third of step 7: minimum to 0, maximum to 1."""
        if limits is None:
            return im2double(merged)
        low, high = limits
        # As OpenCV's `normalize`, which the port's function calls.
        slope = 1.0 / (high - low) if high - low > np.finfo(np.float64).eps else 0.0
        return np.asarray(merged * slope - low * slope, np.float64)

    def levels(self, heat_map: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Do the second third of step 7: 256 levels."""
        return py_heat_levels(heat_map)

    def levels_of_maps(self, maps: NDArray[np.float32], crop_size: int) -> NDArray[np.uint8]:
        """Do steps 6 and 7 up to the levels, all in one array a class, which stays in the cache."""
        frame = frame_size(crop_size)
        levels = np.empty((maps.shape[1], frame, frame), np.uint8)
        is_finite = np.isfinite(maps).all()
        for k, of_class in enumerate(levels):
            (values,) = self.merge(maps[:, k : k + 1], crop_size)
            if not is_finite:
                of_class[:] = self.levels(self.normalize(values))
                continue
            cv2.normalize(values, values, 0.0, 1.0, cv2.NORM_MINMAX)
            values *= 255.0
            of_class[:] = np.rint(values, out=values)
        return levels

    def palette(self, colormap: str | None = None) -> NDArray[np.float64]:
        """Return OpenCV's JET, or the colours of a name."""
        return colors_of(colormap or "jet") / 255.0

    def heat_picture(self, levels: NDArray[np.uint8], colormap: str | None = None) -> Picture:
        """Do the last third of step 7: OpenCV's JET."""
        return colors_of(colormap or "jet")[levels]

    def overlays(
        self, frame: Picture, levels: NDArray[np.uint8], colormap: str | None = None
    ) -> NDArray[np.uint8]:
        """Do step 8: 0.2 · picture + 0.7 · heat, each stretched to [0, 1] by its own extremes."""
        name = colormap or "jet"
        extremes = int(frame.min()), int(frame.max())
        tables = [_py_tables(name, *extremes, *of_heat) for of_heat in _extremes(levels, name)]
        return blend(frame, levels, tables)


def _size_of(picture: Picture) -> tuple[int, int]:
    return picture.shape[0], picture.shape[1]


@lru_cache(maxsize=8)
def _input_of_bytes(preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Return the network's input for each byte of each channel, (3, 256)."""
    # In double, as Caffe's Transformer subtracts its double mean from a single picture.
    centered = np.arange(256) - np.array(preprocessing.mean)[:, np.newaxis]
    table: NDArray[np.float32] = (centered * preprocessing.scale).astype(np.float32)
    return table


def _stretched_bytes(lowest: int, highest: int) -> NDArray[np.float64]:
    """Return what the port's `im2double` makes of each byte of a picture with these extremes."""
    return im2double(np.clip(np.arange(256), lowest, highest)).ravel()


def _extremes(levels: NDArray[np.uint8], colormap: str) -> list[tuple[int, int]]:
    """Return the smallest and the largest byte of each map's picture in some colours."""
    # A few pixels of nearly any map have the extremes that a byte can have.
    some = levels[:, ::32, ::32].reshape(len(levels), -1)
    extremes = _extremes_of(some, colormap)
    known = colors_of(colormap)
    if extremes == [(int(known.min()), int(known.max()))] * len(levels):
        return extremes
    return _extremes_of(levels.reshape(len(levels), -1), colormap)


def _extremes_of(levels: NDArray[np.uint8], colormap: str) -> list[tuple[int, int]]:
    lowest, highest = _extremes_of_levels(colormap)
    return list(
        zip(lowest[levels].min(axis=1).tolist(), highest[levels].max(axis=1).tolist(), strict=True)
    )


@lru_cache(maxsize=8)
def _extremes_of_levels(colormap: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    known = colors_of(colormap)
    return known.min(axis=1), known.max(axis=1)


@lru_cache(maxsize=16)
def _py_tables(
    colormap: str, lowest: int, highest: int, heat_lowest: int, heat_highest: int
) -> NDArray[np.uint8]:
    """Return the port's overlays as tables, given the extremes of a picture and of its heat."""
    heat = _stretched_bytes(heat_lowest, heat_highest)[colors_of(colormap).T]
    return blend_tables(PICTURE_SHARE * _stretched_bytes(lowest, highest), HEAT_SHARE * heat)


@dataclass(frozen=True)
class MatlabStyle:
    """Ten crops, as `demo.m` of the original."""

    name: str = "matlab"
    crops: int = 10
    composite_name: str = "result.jpg"

    @property
    def record(self) -> dict[str, str]:
        """The name."""
        return {"style": self.name}

    def resize(self, picture: Picture, size: int) -> Picture:
        """Do step 1: MATLAB's bicubic resize."""
        return np.asarray(imresize(picture, (size, size)), np.uint8)

    def prepare(
        self, picture: Picture, crop_size: int, preprocessing: Preprocessing
    ) -> NetworkInput:
        """Do steps 1 to 3: MATLAB's bicubic resize, mean image subtracted, ten crops."""
        size = frame_size(crop_size)
        frame = self.resize(picture, size)
        channels = cv2.split(frame)
        if preprocessing.channels == "RGB":
            channels = channels[::-1]
        # Each channel in a piece: a picture's pixels lie three bytes apart.
        centered = np.stack(channels).astype(np.float32)
        centered -= preprocessing.mean_picture(size)
        centered *= np.float32(preprocessing.scale)
        reversed_rows = np.ascontiguousarray(centered[:, :, ::-1])
        batch = np.empty((self.crops, 3, crop_size, crop_size), np.float32)
        for pixels_of_crop, (row, column, mirrored) in zip(
            batch, ten_crop_positions(crop_size, size), strict=True
        ):
            if mirrored:
                column = size - crop_size - column
            source = reversed_rows if mirrored else centered
            pixels_of_crop[:] = source[:, row : row + crop_size, column : column + crop_size]
        return NetworkInput(frame, batch, _size_of(picture))

    def class_order(self, scores: NDArray[np.float32]) -> NDArray[np.intp]:
        """Do step 4: descending, equal scores in the order of their classes."""
        return np.argsort(-scores, kind="stable")

    def merge(self, maps: NDArray[np.float32], crop_size: int) -> NDArray[np.float32]:
        """Do steps 5 and 6: bicubic enlargement of each crop's map, and `mergeTenCrop`."""
        return merge_ten_crop(enlarge_maps(maps, crop_size), crop_size, frame_size(crop_size))

    def place(
        self, maps: NDArray[np.float32], crop_size: int, size: tuple[int, int], band: slice
    ) -> NDArray[np.float32]:
        """Do steps 5 and 6 at the picture's own size, from the crops' maps at once."""
        frame = frame_size(crop_size)
        merged = np.zeros((band.stop - band.start, size[1]), np.float32)
        positions = ten_crop_positions(crop_size, frame)
        for crop_map, (row, column, mirrored) in zip(maps, positions, strict=True):
            upright = crop_map[:, ::-1] if mirrored else crop_map
            part = Part(row / frame, column / frame, crop_size / frame)
            placed = place_map(upright, part, size, band, "bicubic")
            merged[placed.rows, placed.columns] += np.abs(placed.values)
        merged *= np.float32(CHANNELS)
        return merged

    def normalize(
        self, merged: NDArray[Any], limits: tuple[float, float] | None = None
    ) -> NDArray[np.float64]:
        """Do the first third of step 7: `mat2gray`, but NaN stays and takes the first colour."""
        stretched = mat2gray(merged, limits)
        stretched[np.isnan(merged)] = np.nan
        return stretched

    def levels(self, heat_map: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Do the second third of step 7: `gray2ind` to 256 levels."""
        return matlab_heat_levels(heat_map, (0.0, 1.0))

    def levels_of_maps(self, maps: NDArray[np.float32], crop_size: int) -> NDArray[np.uint8]:
        """Do steps 5 to 7 up to the levels, one class at a time."""
        classes = [self.merge(maps[:, k : k + 1], crop_size)[0] for k in range(maps.shape[1])]
        return np.stack([self.levels(self.normalize(merged)) for merged in classes])

    def palette(self, colormap: str | None = None) -> NDArray[np.float64]:
        """Return MATLAB's `jet(256)`, or the colours of a name."""
        return jet(256)[:, ::-1] if colormap is None else colors_of(colormap) / 255.0

    def heat_picture(self, levels: NDArray[np.uint8], colormap: str | None = None) -> Picture:
        """Do the last third of step 7: MATLAB's `jet(256)`."""
        return np.round(self.palette(colormap) * 255).astype(np.uint8)[levels]

    def overlays(
        self, frame: Picture, levels: NDArray[np.uint8], colormap: str | None = None
    ) -> NDArray[np.uint8]:
        """Do step 8: 0.2 · picture + 0.7 · heat, the picture divided by 255."""
        return blend(frame, levels, [_matlab_tables(colormap)] * len(levels))


@lru_cache(maxsize=8)
def _matlab_tables(colormap: str | None) -> NDArray[np.uint8]:
    """Return the original's overlays as tables."""
    heat = MatlabStyle().palette(colormap).T
    return blend_tables(PICTURE_SHARE * (np.arange(256) / 255.0), HEAT_SHARE * heat)


STYLES = ("pycaffe", "matlab")
"""The styles that have a name."""


def get_style(style: str | Style, placement: str = "stretch") -> Style:
    """Return a style by its name.

    Parameters
    ----------
    style : {"pycaffe", "matlab"} or Style
        The style; an object is returned as it is.
    placement : {"stretch", "crop"}, optional
        For the pycaffe style, see `PycaffeStyle`; the matlab style has the first one only,
        since its merged crops cover the whole picture.

    Returns
    -------
    Style
        The style.

    Raises
    ------
    CamError
        If there is no such style or placement, or they do not go together.
    """
    if not isinstance(style, str):
        return style
    if style not in STYLES:
        raise InvalidValueError(
            f"no style {style!r}{nearest_names(style, STYLES)}; there are {list(STYLES)}"
        )
    if placement not in PLACEMENTS:
        raise InvalidValueError(f"no placement {placement!r}; there are {list(PLACEMENTS)}")
    if style == "pycaffe":
        return PycaffeStyle(placement)
    if placement != PLACEMENTS[0]:
        raise InvalidValueError(
            f"style {style!r} covers the whole picture; placement is for pycaffe"
        )
    return MatlabStyle()
