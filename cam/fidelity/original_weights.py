"""Proving that weights are those of the original network.

No checksums of the original weights were published, but the original repository has the class layer
of its GoogLeNet-CAM and what the network gave for the ten crops of one picture. Weights that
reproduce both are the original ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cam.errors import CamError
from cam.explain.model import CamModel
from cam.fidelity import Difference, Pair, Tolerance, difference
from cam.fidelity.cached_demo import SAME_NETWORK, demo_folder, score_residual
from cam.matlab import matfiles

__all__ = ["REFERENCE_MODEL", "Check", "Verification", "verify"]

REFERENCE_MODEL = "googlenet"
"""The only model that the original repository has features of."""

FILES = ("data_net.mat", "data_img1.mat", "img1.jpg")

SAME_WEIGHTS = 1e-6
"""Relative difference of class layers that are the same numbers, written by two programs."""

CORRELATION = 0.99
"""Correlation of the activations of one network on one picture.

The reference was made from a JPEG that another decoder read, a level or two apart from ours, and by
another implementation of the layers. Activations of a network with other weights do not correlate.
"""

SCORES = 0.02
"""Largest difference of the mean scores, for the same reason."""


@dataclass(frozen=True)
class Check:
    """One comparison with the original.

    Attributes
    ----------
    name : str
        What was compared.
    difference : cam.fidelity.Difference
        How far apart it is.
    requirement : str
        What is asked for, in words.
    passed : bool
        Whether it is met.
    """

    name: str
    difference: Difference
    requirement: str
    passed: bool


@dataclass(frozen=True)
class Verification:
    """The outcome of all checks.

    Attributes
    ----------
    checks : tuple of Check
        What was compared.
    ours, theirs : tuple of int
        The top five classes, counted from 0.
    reference_residual : float
        How well the reference's own scores follow from its activations and class layer; see
        `cam.fidelity.cached_demo.score_residual`.
    """

    checks: tuple[Check, ...]
    ours: tuple[int, ...]
    theirs: tuple[int, ...]
    reference_residual: float

    @property
    def passed(self) -> bool:
        """Whether every check is passed and the best class is the same."""
        return all(check.passed for check in self.checks) and self.ours[0] == self.theirs[0]


def verify(model: CamModel, folder: Path | None = None) -> Verification:
    """Compare a model with the original's class layer, activations and scores.

    Parameters
    ----------
    model : cam.explain.model.CamModel
        The model to check, with its weights.
    folder : pathlib.Path, optional
        Where ``data_net.mat``, ``data_img1.mat`` and ``img1.jpg`` are; `demo_folder` if not given.

    Returns
    -------
    Verification
        The differences, and whether they are those of one network.

    Raises
    ------
    CamError
        If a file is missing, the reference is not of one network itself, or the model is of
        another shape than the reference.

    Notes
    -----
    ``data_img2.mat`` is no reference: it comes from another snapshot of the network than
    ``data_net.mat``, and its scores do not follow from `weights_LR` to better than about 0.3 in the
    logarithm. Those of ``data_img1.mat`` do to 2e-5.
    """
    files = Path(folder or demo_folder())
    network_file, features_file, picture = (_existing(files, name) for name in FILES)
    class_weights = matfiles.load_network(network_file).class_weights
    features = matfiles.load_features(features_file)
    if model.class_weights.shape != class_weights.shape:
        raise CamError(
            f"{model.name}: a class layer of shape {model.class_weights.shape}; the "
            f"reference in {files}, of {REFERENCE_MODEL}, has {class_weights.shape}"
        )
    residual = score_residual(features.activations, features.scores, class_weights)
    if residual > SAME_NETWORK:
        raise CamError(
            f"{features_file} and {network_file.name} are not of one network: the scores do not "
            f"follow from weights_LR, by {residual:.2g} in the logarithm (the original's files of "
            "img1 agree to 2e-5; those of img2 come from another snapshot of the network)"
        )
    result = model.explain(picture, top=1, style="matlab")
    output = result.output
    assert output is not None
    if output.activations.shape != features.activations.shape:
        raise CamError(
            f"{model.name}: activations of shape {output.activations.shape}; the reference "
            f"in {features_file} has {features.activations.shape}"
        )
    their_scores = features.scores.mean(axis=0)
    checks = (
        _check_weights(model.class_weights, class_weights),
        _check_activations(output.activations, features.activations),
        _check_scores("scores of each crop", output.scores, features.scores),
        _check_scores("mean scores", result.scores, their_scores),
    )
    order = result.style.class_order
    return Verification(
        checks, _top_five(order(result.scores)), _top_five(order(their_scores)), residual
    )


def _existing(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise CamError(
            f"the reference {name} is not in {folder}; get it with cam fetch-demo, or name its "
            "folder with --demo-files"
        )
    return path


def _top_five(order: NDArray[np.intp]) -> tuple[int, ...]:
    return tuple(int(index) for index in order[:5])


def _check_weights(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> Check:
    pair = Pair("class_weights", (), False, ours, theirs)
    measured = difference(pair, Tolerance(relative=SAME_WEIGHTS))
    return Check("class layer", measured, f"relative <= {SAME_WEIGHTS:g}", measured.within)


def _check_activations(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> Check:
    measured = difference(Pair("activations", (), False, ours, theirs), Tolerance())
    passed = measured.correlation is not None and measured.correlation >= CORRELATION
    return Check("activations", measured, f"correlation >= {CORRELATION:g}", passed)


def _check_scores(name: str, ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> Check:
    measured = difference(Pair("scores", (), False, ours, theirs), Tolerance())
    return Check(name, measured, f"largest <= {SCORES:g}", measured.max_abs <= SCORES)
