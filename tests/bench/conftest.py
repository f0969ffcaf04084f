"""Makes the parts of the benchmark importable, as `bench/servers.py` finds them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
