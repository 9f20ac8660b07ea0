"""Learn to write from a text: masked diffusion of its characters.

python examples/core/text/train_text.py text --out out/text

About two hours of one core; `--resume` goes on after a stop, `--dry-run` shows the plan. Settings
follow at the end: train.steps=500 network.depth=6.
"""

from __future__ import annotations

from pathlib import Path

import typer
from text_model import Inputs

from diff_core.command.train import training_command

app = typer.Typer(add_completion=False, help="Train the models of this example.")

training_command(
    app,
    "text",
    "text_model",
    Path(__file__).parent / "recipe.yaml",
    inputs=Inputs,
    command="train_text.py",
    help="Masked diffusion of characters.",
)


@app.callback()
def _names_its_command() -> None: ...


if __name__ == "__main__":
    app()
