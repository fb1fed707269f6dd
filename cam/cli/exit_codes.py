"""What the command's exit codes mean."""

from __future__ import annotations

SUCCESS = 0
OUTSIDE_TOLERANCE = 1
BAD_INPUT = 2
SOME_FAILED = 3
INTERNAL_ERROR = 70
INTERRUPTED = 130
TERMINATED = 143

MEANINGS = {
    SUCCESS: "success",
    OUTSIDE_TOLERANCE: "a comparison outside its tolerance, or no engine that works (cam doctor)",
    BAD_INPUT: "bad input, said in one line",
    SOME_FAILED: "some pictures could not be read, the rest is done",
    INTERNAL_ERROR: "an error in the program",
    INTERRUPTED: "interrupted",
    TERMINATED: "terminated",
}
