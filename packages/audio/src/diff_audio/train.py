"""Training on one's own recordings: `python -m diff_audio.train denoise --speech DIR --out DIR`.

Heavy imports happen inside the command, so that --help is quick.
"""

from __future__ import annotations

import logging
import sys
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diff_core.command import Device, explain, run

if TYPE_CHECKING:
    from diff_audio.corpus import Corpus
    from diff_core.denoiser import FromX0
    from diff_core.io import Card

__all__ = ["app", "main", "read_recipe"]

COMMAND = "diff_audio.train"
RECIPE = Path(__file__).parent / "recipes" / "denoise.toml"
TABLES = ("network", "bridge", "objective", "mixing", "train", "validation")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


class Precision(StrEnum):
    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"


@app.callback()
def _root() -> None:
    """Train the networks of diff_audio on your own recordings."""


@app.command()
def denoise(
    speech: Annotated[
        Path, typer.Option(help="Folder of clean speech, with a sub-folder for each speaker.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for weights, log, state and decoded sound.")],
    noise: Annotated[
        Path | None, typer.Option(help="Folder of noise; without it: coloured noise and babble.")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="JSON lines: file, and split, speaker, set if known.")
    ] = None,
    recipe: Annotated[Path, typer.Option(help="TOML with every number of the run.")] = RECIPE,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Optimiser steps in all; default: the recipe's.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Items a step; default: the recipe's.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of all randomness.")] = 0,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.auto,
    precision: Annotated[
        Precision, typer.Option(help="auto is bfloat16 where the processor is fast at it.")
    ] = Precision.auto,
    workers: Annotated[int, typer.Option(min=0, help="Processes that mix; 0: in this one.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the state in OUT.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Train the denoiser on clean speech and noise, mixed on the fly.

    Writes OUT/denoise.safetensors (averaged weights and model card; take it with
    `python -m diff_audio.denoise --weights`), OUT/log.jsonl (loss and validation scores) and
    OUT/state.safetensors (to resume from).
    """
    logging.basicConfig(level=logging.WARNING, format=f"{COMMAND}: %(message)s")
    held = (out / "state.safetensors").exists()
    if held != resume:
        raise typer.BadParameter(
            f"{out} holds a run; go on with it by --resume, or give another --out"
            if held
            else f"{out} holds no run to --resume"
        )
    from diff_core.train import TrainingError

    overrides = {"steps": steps, "batch_size": batch_size, "seed": seed, "workers": workers}
    try:
        settings = read_recipe(recipe)
        settings["train"] |= {k: v for k, v in overrides.items() if v is not None}
        _train(speech, noise, manifest, out, settings, device, precision)
    except (ValueError, OSError, TrainingError) as error:
        if debug:
            raise
        print(f"{COMMAND}: {explain(error)}", file=sys.stderr)
        raise typer.Exit(1) from None


def read_recipe(path: Path) -> dict[str, dict[str, Any]]:
    """The tables of a recipe; absent ones are empty.

    Each holds keywords: network of BandUNet, bridge of SchroedingerBridge, objective of
    Enhancement, mixing of Mixing, train of TrainConfig, validation of Validation.
    Raises ValueError for a file that is not TOML or has another table.
    """
    if not path.is_file():
        raise ValueError(f"recipe {path}: no such file")
    try:
        found = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"recipe {path}: not TOML ({error})") from error
    if unknown := sorted(set(found) - set(TABLES)):
        raise ValueError(f"recipe {path}: has {', '.join(unknown)}; expected {', '.join(TABLES)}")
    return {table: found.get(table, {}) for table in TABLES}


def _train(
    speech: Path,
    noise: Path | None,
    manifest: Path | None,
    out: Path,
    recipe: dict[str, dict[str, Any]],
    device: Device,
    precision: Precision,
) -> None:
    import torch

    from diff_audio.corpus import Corpus
    from diff_audio.mixing import Mixer, Mixing
    from diff_audio.network import BandUNet
    from diff_audio.objective import Enhancement
    from diff_audio.spectral import Spectral
    from diff_audio.validation import Validation
    from diff_core.bridge import SchroedingerBridge
    from diff_core.denoiser import FromX0
    from diff_core.device import pick_device
    from diff_core.io import save
    from diff_core.train import TrainConfig, hours_trained, train

    where = pick_device(device.value).type
    config = _made(TrainConfig, recipe, "train", device=where)
    mixing = _made(Mixing, recipe, "mixing")
    spectral = Spectral()
    narrow = _bfloat16(precision, where)
    objective = _made(Enhancement, recipe, "objective", spectral=spectral, bfloat16=narrow)
    torch.manual_seed(config.seed)
    network = _made(BandUNet, recipe, "network")
    denoiser = FromX0(network, _made(SchroedingerBridge, recipe, "bridge"))

    corpus = Corpus.open(speech, noise, out / "corpus", manifest)
    mixer = Mixer(corpus, mixing, config.seed)
    validation = _made(Validation, recipe, "validation", corpus=corpus, spectral=spectral)
    noisy = validation.noisy()
    hours = [corpus.hours(kind, "train") for kind in ("speech", "noise")]
    count = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    print(
        f"speech {hours[0]:.2f} h, noise {hours[1]:.2f} h, {count:.2f} M parameters, "
        f"{'bfloat16' if narrow else 'float32'} on {where}; unprocessed: {_line(noisy)}",
        flush=True,
    )
    weights, log = out / "denoise.safetensors", out / "log.jsonl"
    scored: dict[int, dict[str, float]] = {}

    def validate(average: FromX0, step: int) -> dict[str, float]:
        """Also saves: a run that is cut short leaves weights that can be used."""
        scores = scored[step] = validation(average, step)
        save(weights, average, _card(corpus, recipe, scores, noisy, step, hours_trained(log)))
        return scores

    average = train(denoiser, objective, mixer, config, directory=out, validate=validate)
    if not scored or max(scored) < config.steps:  # resumed after its last step
        validate(average, config.steps)
    print(f"{weights}: {_line(scored[max(scored)])}")


def _made(kind: type[Any], recipe: dict[str, dict[str, Any]], table: str, **more: object) -> Any:
    keywords = {k: tuple(v) if isinstance(v, list) else v for k, v in recipe[table].items()}
    try:
        return kind(**keywords, **more)
    except TypeError as error:
        raise ValueError(f"recipe, [{table}]: {error}") from error


def _bfloat16(precision: Precision, device: str) -> bool:
    import torch

    if precision is not Precision.auto:
        return precision is Precision.bfloat16
    if device == "cpu":
        # Emulated bfloat16 would be slower than float32. Older releases of torch cannot tell.
        return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())
    return device == "cuda" and torch.cuda.is_bf16_supported()


def _line(scores: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in scores.items())


def _card(
    corpus: Corpus,
    recipe: dict[str, dict[str, Any]],
    scores: dict[str, float],
    noisy: dict[str, float],
    step: int,
    hours: float,
) -> Card:
    from diff_core.io import Card

    sets: dict[tuple[str, str, str], float] = {}
    for clip in corpus.clips:
        if clip.split == "train":
            key = (clip.kind, clip.group, clip.licence)
            sets[key] = sets.get(key, 0.0) + clip.length / 16000 / 3600
    return Card(
        name="denoise",
        purpose="Removes background noise from speech: in one pass, or in several from y to x_0.",
        signal={
            "sample_rate": 16000,
            "spectrum": {"n_fft": 510, "hop": 128, "exponent": 0.5, "scale": 0.15},
            "level": "active speech at -26 dBFS (diff_audio.level)",
        },
        data=tuple(
            f"{kind}: {group}, {amount:.2f} h" for (kind, group, _), amount in sets.items()
        ),
        licences=tuple(licence for _, _, licence in sets),
        hours=hours,
        steps=step,
        recipe=dict(recipe),
        scores={f"{name}, held-out mixtures at 5 dB, 1 pass": v for name, v in scores.items()}
        | {f"{name}, the same mixtures unprocessed": v for name, v in noisy.items()},
        limits="For speech at any rate; hears up to 8 kHz. Takes music for noise. Speech under "
        "-5 dB SNR, and a second speaker, may be damaged or removed.",
    )


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
