"""Where the tests find the checkout and the original release's files."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = REPOSITORY.parent / "shared"
DATA = REPOSITORY / "tests" / "data"
