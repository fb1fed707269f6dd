"""Proving that weights are those of the original network.

No checksums of the original weights were published, but the original repository has the class layer
of its GoogLeNet-CAM and what the network gave for the ten crops of one picture. Weights that
reproduce both are the original ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cam.errors import CamError
from cam.explain.model import CamModel
from cam.fidelity.cached_demo import SAME_NETWORK, score_residual
from cam.fidelity.demo_files import fetched_demo_file
from cam.fidelity.difference import Difference, measure
from cam.matlab import original_release

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


REQUIREMENTS: Mapping[str, tuple[str, Callable[[Difference], bool]]] = {
    "class layer": (f"relative <= {SAME_WEIGHTS:g}", lambda apart: apart.relative <= SAME_WEIGHTS),
    "activations": (
        f"correlation >= {CORRELATION:g}",
        lambda apart: apart.correlation is not None and apart.correlation >= CORRELATION,
    ),
    "scores of each crop": (f"largest <= {SCORES:g}", lambda apart: apart.max_abs <= SCORES),
    "mean scores": (f"largest <= {SCORES:g}", lambda apart: apart.max_abs <= SCORES),
}
"""What is asked for of each difference, in words and as a test."""


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
        Where ``data_net.mat``, ``data_img1.mat`` and ``img1.jpg`` are; by default
        `cam.fidelity.demo_files.demo_folder`.

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
    network_file, features_file, picture = (fetched_demo_file(name, folder) for name in FILES)
    class_weights = original_release.load_network(network_file).class_weights
    theirs = original_release.load_features(features_file)
    of_class_layer = _check("class layer", model.class_weights, class_weights)
    residual = score_residual(theirs.activations, theirs.scores, class_weights)
    if residual > SAME_NETWORK:
        raise CamError(
            f"{features_file} and {network_file.name} are not of one network: the scores do not "
            f"follow from weights_LR, by {residual:.2g} in the logarithm (the original's files of "
            "img1 agree to 2e-5; those of img2 come from another snapshot of the network)"
        )
    result = model.explain(picture, top=1, style="matlab")
    ours, means = result.output, (result.scores, theirs.scores.mean(axis=0))
    assert ours is not None
    checks = (
        of_class_layer,
        _check("activations", ours.activations, theirs.activations),
        _check("scores of each crop", ours.scores, theirs.scores),
        _check("mean scores", *means),
    )
    our_top, their_top = (tuple(result.style.class_order(mean)[:5].tolist()) for mean in means)
    return Verification(checks, our_top, their_top, residual)


def _check(name: str, ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> Check:
    if ours.shape != theirs.shape:
        raise CamError(
            f"not the network of the reference, {REFERENCE_MODEL}: {name} of shape {ours.shape}, "
            f"and {theirs.shape} in the reference"
        )
    difference = measure(ours, theirs)
    requirement, is_met = REQUIREMENTS[name]
    return Check(name, difference, requirement, is_met(difference))
