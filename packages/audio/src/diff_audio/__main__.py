"""The command `diff-audio`, or `python -m diff_audio`: all commands for sound under one name."""

from __future__ import annotations

import sys

from diff_audio.weights import FOLDER as WEIGHTS
from diff_core.command import run
from diff_core.command.doctor import Doctor
from diff_core.command.umbrella import umbrella

__all__ = ["app", "main"]

COMMANDS = {
    "denoise": "diff_audio.denoise",
    "live": "diff_audio.live",
    "restore": "diff_audio.restore",
    "say": "diff_audio.say",
    "vocode": "diff_audio.vocode",
    "text": "diff_audio.text.__main__",
    "evaluate": "diff_audio.evaluate",
    "listen": "diff_audio.listen",
    "provenance": "diff_audio.provenance",
    "inspect": "diff_audio.inspect",
    "studio": "diff_audio.studio",
    "serve": "diff_audio.serve",
    "train": "diff_audio.train",
    "export": "diff_audio.export",
}


def _denoise() -> None:
    import numpy as np

    from diff_audio import Denoiser

    Denoiser.from_pretrained()(np.zeros(16000, np.float32), 16000)


def _say() -> None:
    from diff_audio import Speaker

    Speaker.from_pretrained()("Hello.")


app = umbrella(
    "diff-audio",
    "Diffusion for sound: denoise recordings, speak text, and train both.",
    COMMANDS,
    WEIGHTS,
    Doctor("diff-audio", WEIGHTS, {"denoise": _denoise, "say": _say}),
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, "diff-audio", arguments, program="diff-audio")


if __name__ == "__main__":
    sys.exit(main())
