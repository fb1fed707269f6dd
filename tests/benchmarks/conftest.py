from __future__ import annotations

import sys

from locations import REPOSITORY

# The benchmarks are not installed: they are run from the checkout.
if str(REPOSITORY) not in sys.path:
    sys.path.append(str(REPOSITORY))
