"""`diff-medical` and `python -m diff_medical`: all commands for scans under one name."""

from __future__ import annotations

import sys

from diff_core.command import run
from diff_core.command.doctor import Doctor
from diff_core.command.umbrella import umbrella
from diff_medical.weights import FOLDER as WEIGHTS

__all__ = ["app", "main"]

COMMANDS = {
    "enhance": "diff_medical.enhance",
    "generate": "diff_medical.generate",
    "audit": "diff_medical.audit.__main__",
    "fidelity": "diff_medical.fidelity.__main__",
    "provenance": "diff_medical.provenance",
    "evaluate": "diff_medical.evaluate",
    "read": "diff_medical.read",
    "inspect": "diff_medical.inspect",
    "studio": "diff_medical.studio",
    "serve": "diff_medical.serve",
    "train": "diff_medical.train",
    "bundle": "diff_medical.bundle",
}


def _enhance() -> None:
    import numpy as np

    from diff_medical import Enhancer, Settings

    noise = np.random.default_rng(0).normal(100, 5, (24, 24, 8)).astype(np.float32)
    Enhancer.from_pretrained()(noise, (1.0, 1.0, 1.0), Settings(sigma=5.0))


app = umbrella(
    "diff-medical",
    "Diffusion for scans: enhance MRI and CT, make marked synthetic scans, audit and train.",
    COMMANDS,
    WEIGHTS,
    Doctor("diff-medical", WEIGHTS, {"enhance": _enhance}),
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, "diff-medical", arguments, program="diff-medical")


if __name__ == "__main__":
    sys.exit(main())
