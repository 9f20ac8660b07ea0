"""Studios, a server and reports in Chromium: axe, keyboard, phone width, dark mode, results.

python tests/browser/studio.py MODULES PICTURES [sound] [scans] [serve] [reports]

MODULES is a folder with the node_modules of package.json. PICTURES gets the screenshots. Chromium
is on the path, or its name in CHROMIUM. `nox -s studio` does all of it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests/support"))

from report_study import write_reports  # noqa: E402
from studio_client import running  # noqa: E402

TOKEN = "correct horse battery"


def check(modules: Path, pictures: Path, step: str, address: str, argument: str = "") -> int:
    """Look at a page; the exit code is 1 if something is wrong with it."""
    chromium = shutil.which(os.environ.get("CHROMIUM", "chromium"))
    if chromium is None:
        raise SystemExit("Chromium is not on the path; name it in CHROMIUM")
    command = ["node", HERE / "check.mjs", modules, pictures, chromium, step, address, argument]
    return subprocess.run(list(map(str, command)), check=False).returncode


def main() -> int:
    """Start each page, or those that are named, and look at it."""
    modules, pictures = (Path(word).resolve() for word in sys.argv[1:3])
    pictures.mkdir(parents=True, exist_ok=True)
    wanted = sys.argv[3:] or ["sound", "scans", "serve", "reports"]
    codes: list[int] = []
    if "reports" in wanted:
        with tempfile.TemporaryDirectory() as scratch:
            index = write_reports(Path(scratch))
            codes.append(check(modules, pictures, "reports", index.as_uri()))
    files = [str(ROOT / "examples" / f"speech_{name}.wav") for name in ("clean", "noisy")]
    for domain, step, argument in (("audio", "sound", ",".join(files)), ("medical", "scans", "")):
        if step not in wanted:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            with running(f"diff_{domain}.studio", Path(scratch)) as studio:
                codes.append(check(modules, pictures, step, studio.address, argument))
    if "serve" not in wanted:
        return max(codes)
    environment = os.environ | {"DIFF_TOKEN": TOKEN}
    command = [sys.executable, "-m", "diff_audio.serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdout
        found = re.search(r"http://\S+", server.stdout.readline())
        assert found
        try:
            codes.append(check(modules, pictures, "serve", found[0], TOKEN))
        finally:
            server.terminate()
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
