"""The pipeline's time beside that of other programs on the same network and weights.

`measure` runs the contestants in turns, `torchnet` is the network in PyTorch for those that need
it, and `report` writes what was measured.
"""

from benchmarks.measure import CONTESTANTS, Contestant, bench, explain_alone

__all__ = ["CONTESTANTS", "Contestant", "bench", "explain_alone"]
