"""`python -m diff_medical.train enhance --data DIR --out DIR`: trains the enhancer's denoiser.

The defaults are the recipe of the weights that come with the package.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NoReturn

import typer

__all__ = ["app", "main"]

SLICES = 5

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def _root() -> None:
    """Train the networks of diff_medical on your own scans."""


@app.command()
def enhance(
    data: Annotated[Path, typer.Option(help="Folder of NIfTI scans, MR and CT.")],
    out: Annotated[Path, typer.Option(help="Folder for weights, log, state and cache.")],
    manifest: Annotated[
        Path | None,
        typer.Option(help="JSON lines with file, split, modality. Default: DATA/manifest.jsonl."),
    ] = None,
    steps: Annotated[int, typer.Option(help="Optimiser steps in all.", min=1)] = 12000,
    batch: Annotated[int, typer.Option(help="Slabs a step.", min=1)] = 6,
    size: Annotated[int, typer.Option(help="Slab height and width in voxels.", min=16)] = 80,
    channels: Annotated[str, typer.Option(help="Width of each level.")] = "32,64,96,128",
    shuffle: Annotated[int, typer.Option(help="1: full resolution, 2: half.", min=1)] = 1,
    rate: Annotated[float, typer.Option(help="Peak learning rate.")] = 1.2e-3,
    ema: Annotated[float, typer.Option(help="Decay of the averaged weights.")] = 0.999,
    ct: Annotated[
        float, typer.Option(help="Share of CT where there is MR too.", min=0, max=1)
    ] = 0.22,
    workers: Annotated[int, typer.Option(help="Processes that load data.", min=0)] = 0,
    validate_every: Annotated[int, typer.Option(help="Steps between validations.", min=1)] = 1000,
    checkpoint_every: Annotated[int, typer.Option(help="Steps between checkpoints.", min=1)] = 300,
    precision: Annotated[
        str, typer.Option(help="float32, or bfloat16 where the processor is fast at it.")
    ] = "float32",
    seed: Annotated[int, typer.Option(help="Of all randomness.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint in OUT.")
    ] = False,
) -> None:
    """Train a denoiser for all noise levels from a folder of scans.

    Writes OUT/enhance.safetensors (averaged weights, float16, and the model card), OUT/log.jsonl
    (loss and validation scores) and OUT/state.safetensors (to resume from). Scans of the split
    "val" are not trained on; MR among them is scored with Gaussian noise of 5 % and 10 % of its
    maximum.
    """
    import dataclasses

    import torch

    from diff_core.device import pick_device
    from diff_core.io import Card, CheckpointError, save
    from diff_core.train import TrainConfig, TrainingError, hours_trained, train

    from .corpus import build_corpus, find_scans
    from .network import slab_denoiser
    from .objective import SlabDenoising
    from .patches import Patches
    from .validation import Validation

    def say(line: str) -> None:
        typer.echo(line, err=True)

    widths = tuple(int(w) if w.strip().isdigit() else 0 for w in channels.split(","))
    if min(widths) < 1:
        _stop(f"--channels is {channels!r}; expected widths like 32,64,96,128")
    if precision not in ("float32", "bfloat16"):
        _stop(f"--precision is {precision!r}; expected float32 or bfloat16")
    if (out / "state.safetensors").exists() and not resume:
        _stop(f"{out} holds a training already; give --resume to go on with it, or another --out")
    try:
        config = TrainConfig(
            steps=steps, batch_size=batch, learning_rate=rate, ema=ema, seed=seed,
            workers=workers, validate_every=validate_every, checkpoint_every=checkpoint_every,
            device=str(pick_device(device)),
        )  # fmt: skip
        out.mkdir(parents=True, exist_ok=True)
        rows = find_scans(data, manifest)
        volumes = build_corpus(rows, out / "corpus", warn=say)
        validation = Validation.of(rows, warn=say)
        torch.manual_seed(seed)
        denoiser = slab_denoiser(SLICES, widths, shuffle=shuffle)
        count = sum(p.numel() for p in denoiser.parameters()) / 1e6
        say(f"{len(volumes)} volumes, {count:.2f} M parameters, {steps} steps")
        patches = Patches(volumes, seed=seed, slices=SLICES, size=size, ct=ct)
        trained = (
            train(
                denoiser,
                SlabDenoising(bfloat16=precision == "bfloat16", sigma_data=denoiser.sigma_data),
                patches,
                config,
                directory=out,
                validate=validation if validation.cases else None,
            )
            .half()
            .float()
        )  # as it is saved, so that the scores are those of the file
        used = [row for row in rows if row.split == "train"]
        card = Card(
            name="enhance",
            purpose="Posterior mean of an MR or CT slab given its noise level, for denoising.",
            signal={
                "slices": SLICES,
                "unit": "MR: 99.5th percentile of the foreground; CT: (HU + 1000) / 1500",
            },
            data=tuple(row.path.name for row in used),
            licences=tuple(row.licence for row in used),
            hours=hours_trained(out / "log.jsonl"),
            steps=steps,
            recipe={**dataclasses.asdict(config), "size": size, "ct": ct, "precision": precision},
            scores=dataclasses.replace(validation, stride=None)(trained, steps),
            limits="For research; not a medical device. Trained on white and mildly correlated "
            "Gaussian noise: stabilise the variance of any other first.",
        )
        save(out / "enhance.safetensors", trained, card, dtype=torch.float16)
    except (ValueError, OSError, CheckpointError, TrainingError) as error:
        _stop(str(error))
    for name, value in card.scores.items():
        say(f"{name}: {value:g}")
    typer.echo(str(out / "enhance.safetensors"))


def _stop(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(2)


def main() -> None:
    """The command line."""
    app()


if __name__ == "__main__":
    main()
