"""How much the network itself depends on what a map shows: masking, deletion, insertion, ROAD.

Each measure changes the network's input by a map and looks at what becomes of one class's
probability. They know nothing of how the map was made. An input is float32 (3, c, c), as the
network takes it, so that 0 is the mean color; a map is (c, c) in [0, 1], and higher means more
relevant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array
from scipy.sparse.linalg import splu

from cam.errors import InvalidValueError

Input = NDArray[np.float32]
Map = NDArray[np.floating]
Probability = Callable[[Input], NDArray[np.floating]]
"""Takes inputs (N, 3, c, c) and returns the probability of the class in each, (N,)."""

STEPS = 28
"""Into how many parts the pixels are divided for deletion and insertion."""

ROAD_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""The shares of the pixels that ROAD removes, one after the other."""

_BLUR_SIZE, _BLUR_SIGMA = 11, 5.0
_ROAD_NOISE = 0.01
_NEIGHBORS = {
    (row, column): 1 / 6 if row == 0 or column == 0 else 1 / 12
    for row in (-1, 0, 1)
    for column in (-1, 0, 1)
    if (row, column) != (0, 0)
}
"""The weights of the eight pixels around one (Rong et al., section 4.2)."""


class Masked(NamedTuple):
    """A class's probability in the input, and in the input times the map."""

    before: float
    after: float

    @property
    def drop(self) -> float:
        """The part of the probability that is lost, from 0 (nothing, or it rose) to 1."""
        return max(0.0, self.before - self.after) / self.before if self.before > 0 else 0.0

    @property
    def increases(self) -> bool:
        """Whether the probability is higher with the map laid over the input."""
        return self.after > self.before


def mask_by_map(probability: Probability, network_input: Input, heat_map: Map) -> Masked:
    """Multiply the input by the map, as Grad-CAM++ does.

    The mean over pictures of `Masked.drop` is the *average drop*, and that of `Masked.increases`
    the *increase in confidence*.

    Parameters
    ----------
    probability : callable
        The class's probability in inputs (N, 3, c, c).
    network_input : numpy.ndarray
        float32 (3, c, c).
    heat_map : numpy.ndarray
        Shape (c, c).

    Returns
    -------
    Masked
        The probability before and after.

    Raises
    ------
    InvalidValueError
        If the map does not fit the input, or has a value that is not in [0, 1].

    References
    ----------
    Chattopadhay et al., Grad-CAM++, WACV 2018, section 5.1.

    Examples
    --------
    >>> heat_map = np.array([[0.0, 0.0], [0.0, 1.0]])
    >>> def brightness(inputs):
    ...     return inputs.mean(axis=(1, 2, 3))
    >>> mask_by_map(brightness, np.ones((3, 2, 2), np.float32), heat_map).drop
    0.75
    """
    mask = _checked(heat_map, network_input).astype(np.float32)
    before, after = probability(np.stack([network_input, network_input * mask])).tolist()
    return Masked(before, after)


def deletion(
    probability: Probability, network_input: Input, heat_map: Map, steps: int = STEPS
) -> NDArray[np.float64]:
    """Return the probability as the most relevant pixels are replaced by the mean color.

    Parameters
    ----------
    probability, network_input, heat_map
        As for `mask_by_map`.
    steps : int, optional
        Into how many parts, as equal as they can be, the pixels are divided.

    Returns
    -------
    numpy.ndarray
        float64 (steps + 1,): with none, one, ..., all parts deleted. Low is good. Pixels of one
        value go in the order of their rows.

    References
    ----------
    Petsiuk et al., RISE, BMVC 2018, section 4.3, which deletes 224 pixels at a time.
    """
    return _exchange(probability, network_input, np.zeros_like(network_input), heat_map, steps)


def insertion(
    probability: Probability, network_input: Input, heat_map: Map, steps: int = STEPS
) -> NDArray[np.float64]:
    """Return the probability as the most relevant pixels of a blurred input become sharp.

    Parameters
    ----------
    probability, network_input, heat_map, steps
        As for `deletion`.

    Returns
    -------
    numpy.ndarray
        float64 (steps + 1,): with none, one, ..., all parts inserted. High is good.

    References
    ----------
    Petsiuk et al., RISE, BMVC 2018, section 4.3; the Gaussian is its program's (11 pixels, standard
    deviation 5).
    """
    blurred = np.stack(
        [cv2.GaussianBlur(channel, (_BLUR_SIZE,) * 2, _BLUR_SIGMA) for channel in network_input]
    )
    return _exchange(probability, blurred, network_input, heat_map, steps)


def area_under(curve: NDArray[np.floating]) -> float:
    """Return the area under a curve over [0, 1] whose points are equally far apart.

    Examples
    --------
    >>> area_under(np.array([1.0, 0.5, 0.0]))
    0.5
    """
    return float((curve[:-1] + curve[1:]).mean() / 2)


def road(
    probability: Probability,
    network_input: Input,
    heat_map: Map,
    shares: Sequence[float] = ROAD_SHARES,
    noise: float = _ROAD_NOISE,
    seed: int = 0,
) -> float:
    """Return ROAD: how much more is lost with the most relevant pixels than with the least.

    Removed pixels are filled in from those around them, so that the shape of the hole says little.

    Parameters
    ----------
    probability, network_input, heat_map
        As for `mask_by_map`.
    shares : sequence of float, optional
        The shares of the pixels that are removed, each in (0, 1).
    noise : float, optional
        Standard deviation of the noise on filled pixels, in standard deviations of the input.
    seed : int, optional
        Of the noise.

    Returns
    -------
    float
        Half the mean difference of the probability without the least relevant pixels and without
        the most relevant, from -0.5 to 0.5. High is good.

    References
    ----------
    Rong et al., A Consistent and Efficient Evaluation Strategy for Attribution Methods, ICML 2022;
    combined as in pytorch-grad-cam.
    """
    if not shares or not all(0 < share < 1 for share in shares):
        raise InvalidValueError(f"shares of pixels to remove are between 0 and 1, not {shares}")
    values = _checked(heat_map, network_input)
    generator = np.random.default_rng(seed)
    noise_scale = noise * float(network_input.std())
    differences = []
    for share in shares:
        filled = np.stack(
            [
                fill_in(network_input, relevance < np.percentile(relevance, 100 * (1 - share)))
                for relevance in (1 - values, values)
            ]
        )
        is_filled = filled != network_input
        filled += is_filled * generator.normal(0, noise_scale, filled.shape).astype(np.float32)
        without_least, without_most = probability(filled).tolist()
        differences.append((without_least - without_most) / 2)
    return float(np.mean(differences))


def fill_in(network_input: Input, kept: NDArray[np.bool_]) -> Input:
    """Return an input whose other pixels are weighted means of the eight pixels around them.

    Parameters
    ----------
    network_input : numpy.ndarray
        float32 (3, c, c).
    kept : numpy.ndarray
        bool (c, c): the pixels that stay.

    Returns
    -------
    numpy.ndarray
        float32 (3, c, c); 0 everywhere if nothing is kept.

    References
    ----------
    Rong et al. 2022, section 4.2: the means of all removed pixels together are one sparse system of
    linear equations, in which pixels side by side weigh twice as much as those at a corner.
    """
    removed = np.flatnonzero(~kept)
    if removed.size == kept.size:
        return np.zeros_like(network_input)
    if not removed.size:
        return network_input.copy()
    flat = network_input.reshape(len(network_input), -1).astype(np.float64)
    system, known = _mean_equations(kept, removed, flat)
    # The system is symmetric, which this order of elimination makes the most of.
    solver = splu(system, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
    flat[:, removed] = solver.solve(known).T
    return flat.reshape(network_input.shape).astype(np.float32)


def _mean_equations(
    kept: NDArray[np.bool_], removed: NDArray[np.intp], flat: NDArray[np.float64]
) -> tuple[csc_array, NDArray[np.float64]]:
    """Return the sparse matrix and the right sides of the equations of all removed pixels."""
    rows, columns = np.divmod(removed, kept.shape[1])
    number = np.full(kept.size, -1)
    number[removed] = np.arange(removed.size)
    diagonal = np.zeros(removed.size)
    known = np.zeros((removed.size, len(flat)))
    entries = []
    for (down, right), weight in _NEIGHBORS.items():
        row, column = rows + down, columns + right
        inside = (row >= 0) & (row < kept.shape[0]) & (column >= 0) & (column < kept.shape[1])
        here = np.flatnonzero(inside)
        neighbor = (row * kept.shape[1] + column)[here]
        diagonal[here] += weight
        is_kept = number[neighbor] < 0
        known[here[is_kept]] += weight * flat[:, neighbor[is_kept]].T
        unknown = here[~is_kept]
        entries.append((unknown, number[neighbor[~is_kept]], np.full(unknown.size, -weight)))
    everyone = np.arange(removed.size)
    entries.append((everyone, everyone, diagonal))
    at, of, values = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    return csc_array((values, (at, of)), shape=(removed.size, removed.size)), known


def _exchange(
    probability: Probability, first: Input, last: Input, heat_map: Map, steps: int
) -> NDArray[np.float64]:
    """Turn one input into another, the most relevant pixels first; return the probabilities."""
    values = _checked(heat_map, first)
    if not 1 <= steps <= values.size:
        raise InvalidValueError(f"{steps} steps; the map has {values.size} pixels, at least 1 each")
    order = np.argsort(-values.ravel(), kind="stable")
    inputs = np.empty((steps + 1, *first.shape), np.float32)
    inputs[0] = first
    for step, pixels in enumerate(np.array_split(order, steps), 1):
        inputs[step] = inputs[step - 1]
        inputs[step].reshape(len(first), -1)[:, pixels] = last.reshape(len(last), -1)[:, pixels]
    return np.asarray(probability(inputs), np.float64)


def _checked(heat_map: Map, network_input: Input) -> NDArray[np.float64]:
    if network_input.ndim != 3 or heat_map.shape != network_input.shape[1:]:
        raise InvalidValueError(
            f"a map of shape {heat_map.shape} for an input of shape {network_input.shape}: they "
            "have the same rows and columns, the input 3 channels before them"
        )
    if not ((heat_map >= 0) & (heat_map <= 1)).all():
        raise InvalidValueError("the map has a value that is not in [0, 1]")
    return heat_map.astype(np.float64)
