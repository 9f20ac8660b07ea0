"""Training on one's own scans: `python -m diff_medical.train enhance --data DIR --out DIR`.

Each sub-command is a module that holds its recipe and builds its job (`diff_core.command.train`).
"""

from __future__ import annotations

import sys
from pathlib import Path

from diff_core.command import App, run
from diff_core.command.train import training_command
from diff_medical.data.inputs import Prepared, Scans, StrictScans
from diff_medical.weights import path_of

__all__ = ["RECIPES", "app", "main"]

COMMAND = "diff_medical.train"
RECIPES = Path(__file__).parent / "recipes"

app = App(no_args_is_help=True)


@app.callback()
def _root() -> None:
    """Train the networks of diff_medical on your own scans."""


training_command(
    app,
    "enhance",
    "diff_medical.enhancer.training.job",
    RECIPES / "enhance.yaml",
    inputs=StrictScans,
    shipped=path_of("enhance"),
    command=COMMAND,
    help="Train a denoiser for all noise levels from a folder of scans.",
    examples={
        "--data scans/ --out run/": "Train on the scans of a folder; the result is in run/.",
        "--data scans/ --out run/ --start-from shipped": "Train the shipped enhancer on.",
    },
)


training_command(
    app,
    "generate",
    "diff_medical.generator.training.job",
    RECIPES / "generate.yaml",
    inputs=Scans,
    shipped=path_of("generate"),
    command=COMMAND,
    help="Train a generator of synthetic slices from a folder of scans of several people.",
    examples={
        "--data scans/ --out run/": "Train on the scans of a folder; the result is in run/.",
        "--data scans/ --out run/ --resume": "Go on with a training that was stopped.",
    },
)
training_command(
    app,
    "generate-volume",
    "diff_medical.generator.training.job",
    RECIPES / "generate_volume.yaml",
    inputs=Scans,
    shipped=path_of("generate_volume"),
    command=COMMAND,
    help="Train a generator of small synthetic volumes from a folder of scans of several people.",
    examples={
        "--data scans/ --out run/": "Train on the scans of a folder; the result is in run/.",
        "--data scans/ --out run/ corpus.size=32": "Train on smaller volumes.",
    },
)

for _stage, _what in {
    "anatomy": "the first stage of a generator of brains: tissue of whole heads in coarse cells",
    "folds": "its second stage: finer cells, given the coarse ones",
    "borders": "its third stage: label maps, given the cells",
    "appearance": "its last stage: T1 scans, given label maps",
}.items():
    training_command(
        app,
        f"brain-{_stage}",
        "diff_medical.brain.training.job",
        RECIPES / f"brain_{_stage}.yaml",
        inputs=Prepared,
        shipped=path_of(f"brain_{_stage}"),
        command=COMMAND,
        help=f"Train {_what}.",
        examples={
            f"--data prepared/ --out brain/{_stage}/": "Train on people of `brain-prepare`.",
            f"--data prepared/ --out brain/{_stage}/ --resume": "Go on with a training.",
        },
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
