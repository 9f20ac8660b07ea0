"""The screenshots of both studios with the examples: docs/use/studio/{audio,medical}.jpg.

    python docs/use/studio/draw.py [audio] [medical]

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

from studio_client import running  # noqa: E402

BROWSER = os.environ.get("CHROMIUM", "chromium")
HEIGHT = 1560
SHOTS = {
    "audio": ("speech_noisy.wav", "default"),
    "medical": ("phantom_t1_noisy.nii.gz", "draft"),
}


def shoot(domain: str, scratch: Path) -> None:
    """Run the example of `domain` through its studio and save a picture of the page."""
    example, quality = SHOTS[domain]
    with running(f"diff_{domain}.studio", scratch) as studio:
        studio.result(example, (ROOT / "examples" / example).read_bytes(), quality=quality)
        picture = scratch / "page.png"
        # a page that is opened anew shows the last result
        command = [
            BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            f"--user-data-dir={scratch / 'profile'}", f"--window-size=1400,{HEIGHT}",
            "--virtual-time-budget=20000", f"--screenshot={picture}", studio.address,
        ]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)
        with Image.open(picture) as shot:
            small = shot.convert("RGB").resize((1050, HEIGHT * 3 // 4), Image.Resampling.LANCZOS)
            small.save(HERE / f"{domain}.jpg", quality=80, optimize=True)


if __name__ == "__main__":
    for name in sys.argv[1:] or SHOTS:
        with tempfile.TemporaryDirectory() as folder:
            shoot(name, Path(folder))
