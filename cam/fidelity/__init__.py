"""Results held against each other: ours, MATLAB's, and those of the two engines.

`difference` measures how far apart two arrays are, and everything else here rests on it.
`results` reads what a file or folder holds, `comparison` lines two of them up and
`comparison_picture` draws the outcome. `engine_agreement` compares engines, `original_weights`
proves weights to be the original ones, `cached_demo` makes the original's maps from its features,
which `demo_files` fetches, and `doctor` says what works on a machine.
"""

from cam.fidelity.comparison import ComparedQuantity, Comparison, compare, compare_files
from cam.fidelity.difference import Difference, Tolerance, measure

__all__ = [
    "ComparedQuantity",
    "Comparison",
    "Difference",
    "Tolerance",
    "compare",
    "compare_files",
    "measure",
]
