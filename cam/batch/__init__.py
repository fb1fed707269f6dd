"""Many pictures into one store: reading, network, maps and writing side by side.

`inputs` finds the pictures, `pipeline` does the work, `store` keeps it so that an interrupted run
goes on, and `cluster` spreads it over machines.
"""

from cam.batch.pipeline import BatchOptions, BatchWork, run_batch, run_pieces

__all__ = ["BatchOptions", "BatchWork", "run_batch", "run_pieces"]
