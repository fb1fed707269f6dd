"""The gallery's pictures, which anyone may show, and how to show one in a page.

They come with scikit-image and scikit-learn. The coffee (Rachel Michetti), the cat Chelsea (Stéfan
van der Walt) and the rocket (SpaceX) are CC0, the astronaut Eileen Collins (NASA) is in the public
domain, and the summer palace (danielbuechele) and the flower (vultilion) are CC BY 2.0.
"""

from functools import lru_cache

import matplotlib.pyplot as plt
import numpy as np
import skimage.data
from sklearn.datasets import load_sample_image

_SOURCES = {
    "astronaut": skimage.data.astronaut,
    "cat": skimage.data.chelsea,
    "coffee": skimage.data.coffee,
    "flower": lambda: load_sample_image("flower.jpg"),
    "palace": lambda: load_sample_image("china.jpg"),
    "rocket": skimage.data.rocket,
}
NAMES = tuple(_SOURCES)


@lru_cache
def read(name: str) -> np.ndarray:
    """Return a picture by its name, uint8 (rows, columns, 3), BGR as OpenCV's."""
    picture = np.ascontiguousarray(_SOURCES[name]()[..., ::-1])
    picture.flags.writeable = False
    return picture


def show(picture: np.ndarray) -> None:
    """Show a picture, BGR or grey, pixel for pixel."""
    rows, columns = picture.shape[:2]
    figure = plt.figure(figsize=(columns / 100, rows / 100), dpi=100)
    figure.figimage(picture[..., ::-1] if picture.ndim == 3 else picture, cmap="gray")
