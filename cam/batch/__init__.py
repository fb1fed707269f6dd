"""Many pictures into one store: reading, network, maps and writing side by side.

`inputs` finds the pictures, `pipeline` does the work, `store` keeps it so that an interrupted run
goes on, and `cluster` spreads it over machines.
"""

from cam.batch.pipeline import BatchWork, run_batch, run_entries, run_pieces
from cam.batch.rows import BatchOptions

__all__ = ["BatchOptions", "BatchWork", "run_batch", "run_entries", "run_pieces"]
