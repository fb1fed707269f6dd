"""Training with Caffe's own solvers.

`imageset` makes the LMDB, `solver` checks what is to be trained before Caffe sees it, `training`
runs it, and `caffetools` finds Caffe's programs and what they complain of.
"""

from cam.training.training import Progress, Record, Trained, read_history, train, write_history

__all__ = ["Progress", "Record", "Trained", "read_history", "train", "write_history"]
