"""
From a batch to a report
========================

Many pictures go into one store, which goes on where it was interrupted. From the store come tables,
figures, and a report: one HTML file to look through, in any browser, without a server.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import free_pictures
import pyarrow.parquet

folder = Path(tempfile.mkdtemp())
(folder / "pictures").mkdir()
for name in free_pictures.NAMES:
    cv2.imwrite(str(folder / "pictures" / f"{name}.png"), free_pictures.read(name))


def run(*arguments):
    """Run a command in the folder and print what it says."""
    command = [sys.executable, "-m", "cam", *arguments]
    said = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    print(said.stdout)


run("batch", "pictures", "-o", "store")

# %%
# Any Parquet reader reads it.

columns = ["name", "status", "height", "width"]
for row in pyarrow.parquet.read_table(folder / "store" / "pieces", columns=columns).to_pylist():
    print(row)

# %%
# One page for all of it.

run("report", "store", "-o", "report.html")
print(f"{(folder / 'report.html').stat().st_size / 1e6:.1f} MB")
