"""What the pipeline gives for one picture: classes, maps, pictures, and files of them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import IO, Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from cam import files
from cam.arguments import checked
from cam.engines import NetworkOutput
from cam.errors import CamError, InvalidValueError, MissingFileError, whole_number
from cam.explain.drawing import (
    USUAL_ALPHA,
    Drawing,
    drawing_with,
    lay_over,
    lay_saliency,
    placed_levels,
    scaled,
    scaled_boxes,
    scaled_size,
    with_color_bar,
)
from cam.explain.grid import explanation_html
from cam.explain.saved import read_saved_arrays
from cam.explain.styles import PLACEMENTS, Style, get_style
from cam.files import PathLike
from cam.localization import (
    TOP,
    Box,
    BoxRule,
    draw_boxes,
    picture_heatmap,
    write_ilsvrc_heatmaps,
)
from cam.maps.activation_maps import pooled_features, return_cam_map
from cam.maps.montage import captioned, montage
from cam.matlab import save_features
from cam.pictures.reading import Picture, PictureSource, read_picture, write_picture
from cam.zoo import find_class, short_name

ClassChoice = int | str
"""A class by its index from 0, or by its name, WordNet id or a part of its name."""


class ClassLayer(NamedTuple):
    """The weights of the class layer, float32 (C, K), and the names of all classes.

    `pools_maximum` says whether the pooling before it takes the maximum, not the average.
    """

    weights: NDArray[np.float32]
    names: Sequence[str]
    pools_maximum: bool = False


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """What the network saw in one picture: classes, and where the evidence for each lies.

    T is the number of classes explained, C the number of all classes.

    Attributes
    ----------
    frame : numpy.ndarray
        uint8 (256, 256, 3) BGR: the resized picture, on which heat maps and overlays lie.
    picture_size : tuple of int
        Rows and columns of the picture itself.
    scores : numpy.ndarray
        float32 (C,): probabilities of all classes, the mean over the crops.
    indices : numpy.ndarray
        int (T,): the classes explained, counted from 0; the top classes best first.
    names : tuple of str
        Their names.
    maps : numpy.ndarray
        float32 (crops, T, h, w): the raw maps of each crop.
    crop_size : int
        Rows and columns of a crop.
    style : cam.explain.styles.Style
        How crops, maps and colours are made.
    record : dict
        Model, preprocessing, engine, device, style and version, for the record.
    output : cam.engines.NetworkOutput or None
        What the network gave: last conv activations (crops, K, h, w), scores (crops, C); None in
        an explanation that was loaded from files.
    class_layer : ClassLayer or None
        The class layer, from which the maps of other classes follow; None if they do not.
    source : path-like, numpy.ndarray, PIL.Image.Image or None
        Where the picture itself is: the file's absolute path, or the very array or Pillow image
        that was explained, which is not copied and lives as long as the explanation. None if that
        is not known. Only what is drawn at a size other than ``"frame"`` needs it.
    """

    frame: Picture
    picture_size: tuple[int, int]
    scores: NDArray[np.float32]
    indices: NDArray[np.intp]
    names: tuple[str, ...]
    maps: NDArray[np.float32]
    crop_size: int
    style: Style
    record: Mapping[str, Any] = field(default_factory=dict)
    output: NetworkOutput | None = None
    class_layer: ClassLayer | None = None
    source: PictureSource | None = None

    def __repr__(self) -> str:
        best = "no class"
        if len(self.indices):
            best = f"{short_name(self.names[0])} {self.probabilities[0]:.3f}"
        more = f" and {len(self.indices) - 1} more" if len(self.indices) > 1 else ""
        made = ", ".join(str(self.record[key]) for key in ("model", "style") if key in self.record)
        return f"<Explanation of {self.path or 'a picture'}: {best}{more}; {made}>"

    def _repr_html_(self) -> str:
        return explanation_html(self)

    @property
    def picture(self) -> Picture:
        """The picture itself, uint8 (H, W, 3) BGR: read again each time, and not kept.

        Raises
        ------
        CamError
            If it is not there any more, or is not the one that was explained.
        """
        advice = "name it (Explanation.load(folder, picture=...)) or draw with size='frame'"
        if self.source is None:
            raise CamError(f"the picture itself is not here; {advice}")
        try:
            picture = read_picture(self.source)
        except MissingFileError as error:
            raise CamError(f"the picture {self.source} is gone; {advice}") from error
        told = self.source if isinstance(self.source, str) else "the picture given"
        if picture.shape[:2] != self.picture_size or not self._is_of(picture):
            raise CamError(f"{told} is not the picture that was explained; {advice}")
        return picture

    def _is_of(self, picture: Picture) -> bool:
        """Tell whether the frame was made of this picture, by whatever release of OpenCV."""
        frame = self.style.resize(picture, len(self.frame))
        return float(cv2.absdiff(frame, self.frame).mean()) < MOST_APART

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """Probabilities of the top classes, float32 (T,)."""
        return self.scores[self.indices]

    @property
    def _named_probabilities(self) -> Iterable[tuple[str, float]]:
        return zip(self.names, self.probabilities.tolist(), strict=True)

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """The pooled activations that the class layer reads, mean over the crops, float32 (K,).

        They are what other classes can be learned from (section 4 of the paper).

        Raises
        ------
        CamError
            If the activations are not here, as in an explanation that was loaded from files.
        """
        if self.output is None or self.class_layer is None:
            raise CamError("the activations are not here; explain the picture again for features")
        return pooled_features(self.output.activations, self.class_layer.pools_maximum)

    @cached_property
    def merged(self) -> NDArray[Any]:
        """Maps of the whole picture before they are normalised, (T, 256, 256)."""
        return self.style.merge(self.maps, self.crop_size)

    @cached_property
    def heat_maps(self) -> NDArray[np.float64]:
        """Maps of the whole picture, each stretched to [0, 1], float64 (T, 256, 256)."""
        return np.stack([self._heat_map(k) for k in range(len(self.indices))])

    @cached_property
    def levels(self) -> NDArray[np.uint8]:
        """Which of the 256 colours each pixel of the heat maps gets, uint8 (T, 256, 256)."""
        return self.style.levels_of_maps(self.maps, self.crop_size)

    @cached_property
    def _overlays(self) -> NDArray[np.uint8]:
        overlays = self.style.overlays(self.frame, self.levels)
        overlays.flags.writeable = False
        return overlays

    def _heat_map(self, k: int) -> NDArray[np.float64]:
        # One class at a time, and not kept: the numbers at work then stay in the cache.
        (merged,) = self.style.merge(self.maps[:, k : k + 1], self.crop_size)
        return self.style.normalize(merged)

    @checked
    def heat_picture(self, k: int, drawing: Drawing | None = None, **options: Any) -> Picture:
        """Return the coloured heat map of the class of rank `k` (from 0), uint8 BGR.

        Parameters
        ----------
        k, drawing, **options
            As for `overlay`; size and colours count.
        """
        drawing = drawing_with(drawing, options)
        size = self.picture_size
        if drawing.size != "frame" and not isinstance(drawing.size, str):
            size = scaled_size(size, drawing.size)
        return self.style.heat_picture(self._levels(k, drawing, size), drawing.colormap)

    @checked
    def heat_rgba(self, k: int, drawing: Drawing | None = None, **options: Any) -> Picture:
        """Return the coloured heat map of the class of rank `k` with transparency.

        Parameters
        ----------
        k, drawing, **options
            As for `overlay`; size, colours and alpha count.

        Returns
        -------
        numpy.ndarray
            uint8 (rows, columns, 4) in RGBA order, alpha everywhere the same. Laid over the
            picture it gives the overlay of the blend ``"alpha"``.
        """
        drawing = drawing_with(drawing, options)
        heat = self.heat_picture(k, drawing)
        share = USUAL_ALPHA if drawing.opacity is None else drawing.opacity
        opaque = np.full((*heat.shape[:2], 1), round(255 * share), np.uint8)
        return np.concatenate([heat[:, :, ::-1], opaque], axis=2)

    @checked
    def overlay(
        self,
        k: int,
        drawing: Drawing | None = None,
        *,
        saliency: Explanation | None = None,
        **options: Any,
    ) -> Picture:
        """Return the picture with the heat map of the class of rank `k` over it.

        Parameters
        ----------
        k : int
            Rank of the class, 0 being the best.
        drawing : cam.explain.drawing.Drawing, optional
            How; as published if not given.
        saliency : Explanation, optional
            Of `cam.explain.saliency.explain_by_backpropagation`, for the same picture: the class's
            saliency in it is laid over the rest in colours of its own.
        **options
            Single values of the drawing: ``size="picture", colormap="viridis", alpha=0.5``.

        Returns
        -------
        numpy.ndarray
            uint8 (rows, columns, 3) BGR; as published (256, 256, 3): 0.2 · picture + 0.7 · heat,
            in the style's arithmetic. It is read-only; draw on a copy of it.

        Raises
        ------
        CamError
            If an option is none, or the picture itself is needed and not there.

        Examples
        --------
        >>> result = model.explain("photograph.jpg")  # doctest: +SKIP
        >>> result.overlay(0, size="picture", colormap="viridis", alpha=0.5)  # doctest: +SKIP
        """
        (overlay,) = self.drawn(drawing_with(drawing, options), [k], saliency)[1:]
        return overlay

    @checked
    def overlays(
        self,
        drawing: Drawing | None = None,
        *,
        saliency: Explanation | None = None,
        **options: Any,
    ) -> list[Picture]:
        """Return the overlay of each class; see `overlay`. The picture is read once."""
        ranks = range(len(self.indices))
        return self.drawn(drawing_with(drawing, options), ranks, saliency)[1:]

    @checked
    def drawn(
        self, drawing: Drawing, ranks: Sequence[int], saliency: Explanation | None = None
    ) -> list[Picture]:
        """Return the picture at the size that it is drawn at, and the overlays of some ranks."""
        ranks = [self._rank(k) for k in ranks]
        if drawing.is_published and saliency is None:
            return [self.frame, *(self._overlays[k] for k in ranks)]
        picture = self.frame if drawing.size == "frame" else self.picture
        if not isinstance(drawing.size, str):
            picture = scaled(picture, drawing.size)
        size = picture.shape[0], picture.shape[1]
        drawn = [picture]
        for k in ranks:
            overlay = lay_over(picture, self._levels(k, drawing, size), self.style, drawing)
            if saliency is not None:
                of_class = saliency.of_class(int(self.indices[k]))
                overlay = lay_saliency(overlay, of_class._levels(0, drawing, size))
            if drawing.box_rule is not None:
                boxes = self.boxes(k, drawing.box_rule)
                overlay = draw_boxes(overlay, scaled_boxes(boxes, self.picture_size, size))
            if drawing.color_bar:
                merged = self.merged[k]
                limits = float(np.nanmin(merged)), float(np.nanmax(merged))
                overlay = with_color_bar(overlay, limits, self.style, drawing)
            overlay.flags.writeable = False
            drawn.append(overlay)
        return drawn

    def _rank(self, k: int) -> int:
        return whole_number(k, "the rank of a class", 0, len(self.indices) - 1)

    def _levels(self, k: int, drawing: Drawing, size: tuple[int, int]) -> NDArray[np.uint8]:
        k = self._rank(k)
        if drawing.size == "frame":
            levels: NDArray[np.uint8] = self.levels[k]
            return levels
        return placed_levels(self.style, self.maps[:, k], self.crop_size, size)

    @checked
    def montage(
        self,
        captions: bool = False,
        drawing: Drawing | None = None,
        *,
        saliency: Explanation | None = None,
        **options: Any,
    ) -> Picture:
        """Return the picture and the overlays side by side.

        Parameters
        ----------
        captions : bool, optional
            Put rank, probability and class name under each; without, the picture is the
            original's `result.jpg`.
        drawing, saliency, **options
            As for `overlay`, and ``columns=3`` for rows of at most three pictures. At the size
            ``"picture"`` pictures whose longer side has over 1,024 pixels are drawn with 1,024.

        Returns
        -------
        numpy.ndarray
            uint8 (256 or more, W, 3) BGR with 8 white columns between the pictures.
        """
        chosen = drawing_with(drawing, options).for_montage(self.picture_size)
        pictures = self.drawn(chosen, range(len(self.indices)), saliency)
        if captions:
            texts = [("input", f"{self.record.get('model', '')}")]
            for rank, (name, probability) in enumerate(self._named_probabilities, 1):
                shown = chosen.name(name).split(",")[0]
                texts.append((f"{rank}: {probability:.3f}", shown))
            width = pictures[0].shape[1]
            scale = 1.0 if chosen.size == "frame" else max(1.0, width / 256)
            pictures = [
                captioned(picture, lines, scale)
                for picture, lines in zip(pictures, texts, strict=True)
            ]
        return montage(pictures, chosen.columns)

    @checked
    def of_class(self, index: ClassChoice) -> Explanation:
        """Return the explanation of one class, whether or not it is among those explained.

        Parameters
        ----------
        index : int or str
            The class: its index from 0, its name or its WordNet id.

        Returns
        -------
        Explanation
            Of this class only. The network does not run again.

        Raises
        ------
        CamError
            If there is no such class, or its map does not follow from what is here.
        """
        return self.of_classes([index])

    @checked
    def of_classes(self, classes: Sequence[ClassChoice]) -> Explanation:
        """Return the explanation of some classes, in their order; see `of_class`."""
        indices = [self._class_index(wanted) for wanted in classes]
        for index in indices:
            if not 0 <= index < len(self.scores):
                raise InvalidValueError(f"no class {index}; there are {len(self.scores)}, from 0")
        chosen = np.array(indices, np.intp)
        if np.isin(chosen, self.indices).all():
            ranks = [int(np.flatnonzero(self.indices == index)[0]) for index in indices]
            names = tuple(self.names[rank] for rank in ranks)
            return replace(self, indices=chosen, names=names, maps=self.maps[:, ranks])
        if self.output is None or self.class_layer is None:
            raise CamError(
                f"there are maps of the classes {', '.join(map(str, self.indices))} only; explain "
                "the picture again to have others"
            )
        weights, all_names = self.class_layer[:2]
        return replace(
            self,
            indices=chosen,
            names=tuple(all_names[index] for index in indices),
            maps=return_cam_map(self.output.activations, weights[chosen]),
        )

    def _class_index(self, wanted: ClassChoice) -> int:
        """Return the index of a class by its index or its name."""
        if not isinstance(wanted, str) or wanted.isdecimal():
            return int(wanted)
        if self.class_layer is not None:
            return find_class(self.class_layer.names, wanted)
        try:
            return int(self.indices[find_class(self.names, wanted)])
        except InvalidValueError as error:
            raise CamError(f"{error}; there are maps of {'; '.join(self.names)} only") from error

    @checked
    def picture_heat_map(self, k: int, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """Return the grey heat map of the class of rank `k` at the picture's own size.

        Parameters
        ----------
        k : int
            Rank of the class, 0 being the best.
        size : pair of int, optional
            Rows and columns; the picture's own if not given.

        Returns
        -------
        numpy.ndarray
            uint8 (rows, columns), as of `cam.localization.picture_heatmap`.
        """
        k = self._rank(k)
        chosen = self.picture_size if size is None else (int(size[0]), int(size[1]))
        if (k, chosen) not in self._picture_heat_maps:
            (merged,) = self.style.merge(self.maps[:, k : k + 1], self.crop_size)
            self._picture_heat_maps[k, chosen] = picture_heatmap(merged, chosen)
        return self._picture_heat_maps[k, chosen]

    @cached_property
    def _picture_heat_maps(self) -> dict[tuple[int, tuple[int, int]], NDArray[np.uint8]]:
        """The heat maps at picture size that were asked for, by rank and size."""
        return {}

    @checked
    def boxes(
        self, k: int, rule: BoxRule | None = None, size: tuple[int, int] | None = None
    ) -> list[Box]:
        """Return the boxes of the class of rank `k`, largest first.

        Parameters
        ----------
        k : int
            Rank of the class, 0 being the best.
        rule : cam.localization.BoxRule, optional
            How they are found; the original's rule if not given.
        size : pair of int, optional
            Rows and columns of the picture that they are for; the picture's own if not given.

        Returns
        -------
        list of cam.localization.Box
            Boxes in the picture's pixels.
        """
        return (rule or BoxRule()).boxes(self.picture_heat_map(k, size))

    def to_dict(self) -> dict[str, Any]:
        """Return classes, probabilities and the record, ready for JSON."""
        top = [
            {"rank": k + 1, "index": int(self.indices[k]), "name": name, "probability": probability}
            for k, (name, probability) in enumerate(self._named_probabilities)
        ]
        return {"top": top, "index_base": 0, "picture": self.path, "record": dict(self.record)}

    @property
    def path(self) -> str | None:
        """The picture's file, or None if it is none."""
        return self.source if isinstance(self.source, str) else None

    @checked
    def to_npz(self, path: PathLike | IO[bytes]) -> None:
        """Write classes, scores, maps, heat maps and the frame as a NumPy archive.

        Parameters
        ----------
        path : path-like or binary file
            The ``.npz`` file to write. It holds plain arrays only and loads without pickle.
        """
        if isinstance(path, (str, os.PathLike)):
            with files.atomic_path(path) as temporary, temporary.open("wb") as file:
                self.to_npz(file)
            return
        np.savez_compressed(
            path,
            indices=self.indices,
            names=np.array(self.names),
            probabilities=self.probabilities,
            scores=self.scores,
            maps=self.maps,
            heat_maps=self.heat_maps.astype(np.float32),
            frame=self.frame,
            picture_size=self.picture_size,
            crop_size=self.crop_size,
        )

    @checked
    def to_mat(self, path: PathLike | IO[bytes]) -> None:
        """Write activations and scores as the original's pre-extracted features.

        Parameters
        ----------
        path : path-like or binary file
            The ``.mat`` file to write, with ``activation_lastconv`` (w, h, K, crops) and
            ``scores`` (C, crops), which the original's `demo.m` loads with ``online = 0``.
        """
        if self.output is None:
            raise CamError("the activations are not here; explain the picture again to write them")
        save_features(path, self.output.activations, self.output.scores)

    @checked
    def to_ilsvrc(self, folder: PathLike, name: str) -> None:
        """Write the heat maps and the class order as ``ILSVRC_generate_heatmap.m`` does.

        The original's heat maps are of its ten-crop style, ``"matlab"``.

        Parameters
        ----------
        folder : path-like
            The folder of all pictures; see `cam.localization.write_ilsvrc_heatmaps`.
        name : str
            The picture's name without extension.

        Raises
        ------
        InvalidValueError
            If the explanation has fewer than five classes.
        CamError
            If a file cannot be written.
        """
        if len(self.indices) < TOP:
            raise InvalidValueError(
                f"ILSVRC heat maps are of the top {TOP} classes, not of {len(self.indices)}"
            )
        heatmaps = [self.picture_heat_map(k) for k in range(TOP)]
        order = self.style.class_order(self.scores)
        write_ilsvrc_heatmaps(heatmaps, self.scores, order, folder, name)

    @checked
    def save(
        self,
        folder: PathLike,
        drawing: Drawing | None = None,
        *,
        saliency: Explanation | None = None,
        **options: Any,
    ) -> list[Path]:
        """Write the montage, each class's heat map and overlay, the arrays and a summary.

        Files of an earlier result in the folder are replaced or removed; other files stay.

        Parameters
        ----------
        folder : path-like
            The folder to write to; it is created if it is missing.
        drawing, saliency, **options
            How pictures are drawn, as for `overlay`.

        Returns
        -------
        list of pathlib.Path
            The files written: ``montage.png``, ``top1_NAME_heat.png`` and
            ``top1_NAME_overlay.png`` and so on, ``maps.npz`` and ``result.json``; in the ten-crop
            style the original's ``result.jpg`` as well. Pictures may have another extension.
        """
        chosen, target = drawing_with(drawing, options), Path(folder)
        names = [f"montage.{chosen.format}"]
        pictures = [self.montage(captions=True, drawing=chosen, saliency=saliency)]
        if self.style.composite_name:
            names.append(self.style.composite_name)
            pictures.append(self.montage())
        for k, overlay in enumerate(self.overlays(chosen, saliency=saliency)):
            plain = class_file_name(chosen.name(self.names[k]))[:LONGEST_NAME]
            heat = self.heat_rgba(k, chosen) if chosen.rgba else self.heat_picture(k, chosen)
            names += [f"top{k + 1}_{plain}_{what}.{chosen.format}" for what in ("heat", "overlay")]
            pictures += [heat[:, :, [2, 1, 0, 3]] if chosen.rgba else heat, overlay]
        remove_earlier(target, _WRITTEN.fullmatch, keep=names)
        # The arrays take as long as all pictures, most of it in zlib; matplotlib, which writes some
        # formats, is for one thread only.
        with ThreadPoolExecutor(1) as beside:
            arrays = beside.submit(self.to_npz, target / MAPS_FILE)
            for name, picture in zip(names, pictures, strict=True):
                write_picture(target / name, picture)
            files.write_json(target / RESULT_FILE, self.to_dict())
            arrays.result()
        return [target / name for name in (*names, MAPS_FILE, RESULT_FILE)]

    @classmethod
    @checked
    def load(cls, folder: PathLike, picture: PictureSource | None = None) -> Explanation:
        """Return what `save` wrote, but for the activations.

        Parameters
        ----------
        folder : path-like
            The folder.
        picture : path-like, numpy.ndarray or PIL.Image.Image, optional
            The picture itself; the file that was explained if not given. It is looked for when
            something is drawn at its size.

        Returns
        -------
        Explanation
            With the same classes, maps and pictures.

        Raises
        ------
        CamError
            If the folder is not a result, or is damaged.
        """
        target = Path(folder)
        summary = files.read_json(target / RESULT_FILE, "the result")
        arrays = read_saved_arrays(target / MAPS_FILE)
        try:
            record = summary["record"]
            rows, columns = arrays["picture_size"].tolist()
            style = get_style(str(record["style"]), str(record.get("placement", PLACEMENTS[0])))
            return cls(
                frame=arrays["frame"],
                picture_size=(rows, columns),
                scores=arrays["scores"],
                indices=arrays["indices"],
                names=tuple(arrays["names"].tolist()),
                maps=arrays["maps"],
                crop_size=int(arrays["crop_size"]),
                style=style,
                record=record,
                source=source_of(summary.get("picture") if picture is None else picture),
            )
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            if isinstance(error, CamError):
                raise
            raise CamError(f"{target} is not a whole result of cam run: {error}") from error


MAPS_FILE, RESULT_FILE = "maps.npz", "result.json"

_WRITTEN = re.compile(
    r"top\d+_.*_(heat|overlay)\.(png|jpg|pdf|svg)|montage\.(png|jpg|pdf|svg)|result\.(jpg|json)|maps\.npz"
    r"|features\.mat|data_net\.mat"
)
"""The names of the files that are written for one picture, by `save` and by `cam run`."""

LONGEST_NAME = 80

MOST_APART = 4.0
"""Grey levels by which a picture's frame may be off on average to be the same: releases of decoders
and of OpenCV round differently."""


def source_of(image: PictureSource | None) -> PictureSource | None:
    """Return where a picture is, such that it is found from another folder, too."""
    return str(Path(image).absolute()) if isinstance(image, (str, os.PathLike)) else image


def remove_earlier(
    folder: Path, is_written: Callable[[str], object], keep: Collection[str]
) -> None:
    """Remove the files of an earlier result, so that the folder never holds parts of two."""
    if folder.is_dir():
        for file in folder.iterdir():
            if is_written(file.name) and file.name not in keep:
                file.unlink()


def class_file_name(name: str) -> str:
    """Return a class's first synonym as a part of files' names."""
    return files.file_name(re.sub(r"[^\w.-]+", "_", name.split(",")[0]).strip("_"))
