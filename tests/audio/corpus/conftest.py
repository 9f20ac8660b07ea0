"""The scripts of the corpus are no package: their folder is on the path, as when one is run."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "examples" / "audio" / "corpus"))
