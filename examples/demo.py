"""Denoises the bundled recording and enhances the bundled scan, with pictures, into `out/`.

python examples/demo.py
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = {
    "diff_audio.denoise": ("speech_noisy.wav", "speech_denoised.wav", "speech.png"),
    "diff_medical.enhance": (
        "phantom_t1_noisy.nii.gz",
        "phantom_t1_enhanced.nii.gz",
        "phantom.png",
    ),
}


def main() -> int:
    """Runs each command as a user would, prints it, and returns its exit code if it failed."""
    (ROOT / "out").mkdir(exist_ok=True)
    for module, (source, result, picture) in COMMANDS.items():
        arguments = [f"examples/{source}", "-o", f"out/{result}", "--picture", f"out/{picture}"]
        print(f"\n$ python -m {module} {' '.join(arguments)}", flush=True)
        command = [sys.executable, "-m", module, *arguments, "--overwrite"]
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        if code:
            return code
    print("\nBefore and after: out/speech.png and out/phantom.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
