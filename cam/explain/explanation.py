"""What the pipeline gives for one picture: classes, maps, pictures, and files of them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cam.engines import Forward
from cam.explain.styles import Style
from cam.files import atomic_path
from cam.maps.colors import caption, montage
from cam.pictures.reading import Picture, write_picture

__all__ = ["Explanation"]


@dataclass(frozen=True)
class Explanation:
    """What the network saw in one picture: its top classes and where the evidence for each lies.

    T is the number of top classes, C the number of all classes.

    Attributes
    ----------
    frame : numpy.ndarray
        uint8 (256, 256, 3) BGR: the resized picture, on which heat maps and overlays lie.
    scores : numpy.ndarray
        float32 (C,): probabilities of all classes, the mean over the crops.
    indices : numpy.ndarray
        int (T,): the top classes, best first, counted from 0.
    names : tuple of str
        Their names.
    maps : numpy.ndarray
        float32 (crops, T, h, w): the raw class activation maps of each crop.
    forward : cam.engines.Forward
        What the network gave: last conv activations (crops, K, h, w), scores (crops, C).
    crop : int
        Rows and columns of a crop.
    style : cam.explain.styles.Style
        How crops, maps and colours are made.
    record : dict
        Model, preprocessing, engine, device, style and version, for the record.
    """

    frame: Picture
    scores: NDArray[np.float32]
    indices: NDArray[np.intp]
    names: tuple[str, ...]
    maps: NDArray[np.float32]
    forward: Forward
    crop: int
    style: Style
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """Probabilities of the top classes, float32 (T,)."""
        return self.scores[self.indices]

    @cached_property
    def merged(self) -> NDArray[Any]:
        """Maps of the whole picture before they are normalised, (T, 256, 256)."""
        return self.style.merge(self.maps, self.crop)

    @cached_property
    def heat_maps(self) -> NDArray[np.float64]:
        """Maps of the whole picture, each stretched to [0, 1], float64 (T, 256, 256)."""
        return np.stack([self._heat_map(k) for k in range(len(self.indices))])

    @cached_property
    def levels(self) -> NDArray[np.uint8]:
        """Which of the 256 colours each pixel of the heat maps gets, uint8 (T, 256, 256)."""
        return self.style.levels_of_maps(self.maps, self.crop)

    @cached_property
    def _overlays(self) -> NDArray[np.uint8]:
        overlays = self.style.overlays(self.frame, self.levels)
        overlays.flags.writeable = False
        return overlays

    def _heat_map(self, k: int) -> NDArray[np.float64]:
        # One class at a time, and not kept: the numbers at work then stay in the cache.
        (merged,) = self.style.merge(self.maps[:, k : k + 1], self.crop)
        return self.style.normalize(merged)

    def heat_picture(self, k: int) -> Picture:
        """Return the coloured heat map of the class of rank `k` (from 0), uint8 BGR."""
        return self.style.heat_picture(self.levels[k])

    def overlay(self, k: int) -> Picture:
        """Return the picture with the heat map of the class of rank `k` over it.

        Parameters
        ----------
        k : int
            Rank of the class, 0 being the best.

        Returns
        -------
        numpy.ndarray
            uint8 (256, 256, 3) BGR: 0.2 · picture + 0.7 · heat, in the style's arithmetic. It is
            read-only; draw on a copy of it.
        """
        overlay: Picture = self._overlays[k]
        return overlay

    def montage(self, captions: bool = False) -> Picture:
        """Return the picture and the overlays side by side.

        Parameters
        ----------
        captions : bool, optional
            Put rank, probability and class name under each; without, the picture is the
            original's `result.jpg`.

        Returns
        -------
        numpy.ndarray
            uint8 (256 or more, W, 3) BGR with 8 white columns between the pictures.
        """
        pictures = [self.frame, *(self.overlay(k) for k in range(len(self.indices)))]
        if captions:
            texts = [("input", f"{self.record.get('model', '')}")]
            texts += [
                (f"{k + 1}: {probability:.3f}", _first_synonym(name))
                for k, (name, probability) in enumerate(
                    zip(self.names, self.probabilities, strict=True)
                )
            ]
            pictures = [
                np.concatenate([picture, caption(lines, picture.shape[1])])
                for picture, lines in zip(pictures, texts, strict=True)
            ]
        return montage(pictures)

    def to_dict(self) -> dict[str, Any]:
        """Return classes, probabilities and the record, ready for JSON."""
        top = [
            {"rank": k + 1, "index": int(index), "name": name, "probability": float(probability)}
            for k, (index, name, probability) in enumerate(
                zip(self.indices, self.names, self.probabilities, strict=True)
            )
        ]
        return {"top": top, "index_base": 0, "record": dict(self.record)}

    def to_npz(self, path: str | os.PathLike[str]) -> None:
        """Write indices, names, probabilities, scores, maps and heat maps as a NumPy archive.

        Parameters
        ----------
        path : path-like
            The ``.npz`` file to write. It holds plain arrays only and loads without pickle.
        """
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file,
                indices=self.indices,
                names=np.array(self.names),
                probabilities=self.probabilities,
                scores=self.scores,
                maps=self.maps,
                heat_maps=self.heat_maps.astype(np.float32),
            )

    def to_mat(self, path: str | os.PathLike[str]) -> None:
        """Write activations and scores as the original's pre-extracted features.

        Parameters
        ----------
        path : path-like
            The ``.mat`` file to write, with ``activation_lastconv`` (w, h, K, crops) and
            ``scores`` (C, crops), which the original's `demo.m` loads with ``online = 0``.
        """
        from cam.matlab.matfiles import save_features

        save_features(path, self.forward.activations, self.forward.scores)

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write the montage, each class's heat map and overlay, the arrays and a summary.

        Files of an earlier result in the folder are replaced or removed; other files stay.

        Parameters
        ----------
        folder : path-like
            The folder to write to; it is created if it is missing.

        Returns
        -------
        list of pathlib.Path
            The files written: ``montage.png``, ``top1_NAME_heat.png`` and
            ``top1_NAME_overlay.png`` and so on, ``maps.npz`` and ``result.json``; in the ten-crop
            style the original's ``result.jpg`` as well.
        """
        target = Path(folder)
        pictures = {"montage.png": self.montage(captions=True)}
        if self.style.name == "matlab":
            pictures["result.jpg"] = self.montage()
        for k, name in enumerate(self.names):
            stem = f"top{k + 1}_{_file_name(name)}"
            pictures[f"{stem}_heat.png"] = self.heat_picture(k)
            pictures[f"{stem}_overlay.png"] = self.overlay(k)
        _remove_earlier(target, keep={*pictures})
        for name, picture in pictures.items():
            write_picture(target / name, picture)
        self.to_npz(target / "maps.npz")
        with atomic_path(target / "result.json") as temporary:
            temporary.write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")
        return [target / name for name in (*pictures, "maps.npz", "result.json")]


_WRITTEN = re.compile(
    r"top\d+_.*_(heat|overlay)\.png|montage\.png|result\.(jpg|json)|maps\.npz"
    r"|features\.mat|data_net\.mat"
)
"""The names of the files that are written for one picture, by `save` and by `cam run`."""

LONGEST_NAME = 80


def _remove_earlier(folder: Path, keep: set[str]) -> None:
    """Remove the files of an earlier result, so that the folder never holds parts of two."""
    if folder.is_dir():
        for file in folder.iterdir():
            if _WRITTEN.fullmatch(file.name) and file.name not in keep:
                file.unlink()


def _first_synonym(name: str) -> str:
    return name.split(",")[0]


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", _first_synonym(name)).strip("_")[:LONGEST_NAME]
