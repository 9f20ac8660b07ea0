"""The pictures of the report: docs/medical/report/{index,viewer}.jpg.

    python docs/medical/report/draw.py [index] [viewer]

index.jpg is the index of a small study of the drawn head, viewer.jpg the whole head in NiiVue.
Needs Chromium on the path (or its name in CHROMIUM).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

from report_study import write_reports  # noqa: E402

BROWSER = os.environ.get("CHROMIUM", "chromium")
SIZES = {"index": (1400, 1240), "viewer": (1400, 880)}


def viewer(folder: Path) -> Path:
    """Enhance the example and return the page that opens it in NiiVue."""
    scan = ROOT / "examples" / "phantom_t1_noisy.nii.gz"
    command = [
        sys.executable, "-m", "diff_medical.enhance", scan, "-o", folder / "out.nii.gz",
        "--report", folder / "head.html", "--viewer",
    ]  # fmt: skip
    subprocess.run(list(map(str, command)), check=True)
    return folder / "head_viewer.html"


def shoot(name: str, page: Path, scratch: Path) -> None:
    """Save a picture of a page."""
    (width, height), picture = SIZES[name], scratch / "page.png"
    command = [
        BROWSER, "--headless=new", "--no-sandbox", "--hide-scrollbars", "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader", f"--user-data-dir={scratch / 'profile'}",
        f"--window-size={width},{height}", "--virtual-time-budget=60000",
        f"--screenshot={picture}", page.as_uri(),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    with Image.open(picture) as shot:
        size = (width * 3 // 4, shot.height * width * 3 // 4 // shot.width)
        small = shot.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        small.save(HERE / f"{name}.jpg", quality=82, optimize=True)


if __name__ == "__main__":
    for name in sys.argv[1:] or SIZES:
        with tempfile.TemporaryDirectory() as folder:
            scratch = Path(folder)
            shoot(name, write_reports(scratch) if name == "index" else viewer(scratch), scratch)
