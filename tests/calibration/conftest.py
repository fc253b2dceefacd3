"""Makes the oracle importable by name, here and in the processes that calibration starts."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
