"""Two results held against each other, ours or MATLAB's.

`comparables` reads what a file or folder holds, `comparison` lines two of them up and measures how
far apart they are, and `picture` draws the outcome.
"""

from cam.fidelity.comparison import (
    Comparison,
    Difference,
    Pair,
    Tolerance,
    compare_files,
    difference,
)

__all__ = ["Comparison", "Difference", "Pair", "Tolerance", "compare_files", "difference"]
