"""Training with Caffe's own solvers.

`imageset` makes the LMDB; `solver` reads what is to be trained and checks it before Caffe sees it,
with `networks` for what is done to its network; `training` runs it, `snapshots` and `history` are
what it leaves behind; `caffetools` finds Caffe's programs and what they complain of.
"""

from cam.training.history import HistoryEntry, read_history, write_history
from cam.training.training import TrainingProgress, TrainingResult, train

__all__ = [
    "HistoryEntry",
    "TrainingProgress",
    "TrainingResult",
    "read_history",
    "train",
    "write_history",
]
