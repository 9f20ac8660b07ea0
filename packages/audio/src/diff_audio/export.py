"""The command `python -m diff_audio.export out.onnx`: the one-pass network for other runtimes.

What is exported maps the noisy compressed spectrum y (B, 2, F, N) to the estimate of the clean
one, D(y, y, t = 1), for any B and N. The spectrum before and after it is `diff_audio.Spectral`'s;
its numbers, the sample rate and the level that the network expects are in the file's metadata.
`level_follow` is true where each place of the sound is brought to it (`diff_audio.sound.level`).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from diff_audio.weights import path_of
from diff_core.command import App, Failures, options, require_new, run
from diff_core.lines import print_line

__all__ = ["app", "export", "export_live", "main"]

COMMAND = "diff_audio.export"
OPSET = 18
NONE = "no live denoiser comes with this version; name one by --weights"
FRAMES = 64  # of the example that is traced; the file takes any number

app = App()


def export(path: Path, weights: Path | None = None) -> None:
    """Write the network of a checkpoint, None for the package's, as ONNX in float32.

    Input `noisy` and output `clean`, (batch, 2, bins, frames). Raises ImportError without the
    extra diff-audio[onnx], ValueError for a checkpoint that cannot be used.
    """
    _library()
    import torch
    from torch import Tensor, nn

    from diff_audio.denoiser.denoiser import Denoiser
    from diff_audio.sound.level import TARGET_DB
    from diff_audio.sound.resample import CORE_RATE
    from diff_core.condition import Condition

    model = Denoiser.from_pretrained(weights, device="cpu")
    spectral = model.spectral

    class OnePass(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.denoiser = model.denoiser.float()

        def forward(self, noisy: Tensor) -> Tensor:
            return self.denoiser(noisy, torch.ones(()), Condition(channels=noisy))

    example = torch.randn(1, 2, spectral.bins, FRAMES)
    facts = {
        "sample_rate": CORE_RATE,
        "n_fft": spectral.n_fft,
        "hop": spectral.hop,
        "exponent": spectral.exponent,
        "scale": spectral.scale,
        "level_db": TARGET_DB,
        "level_follow": model.follow,
        "context_frames": getattr(model.denoiser.network, "context", None),
    }
    axes = {name: {0: "batch", 3: "frames"} for name in ("noisy", "clean")}
    _write(path, OnePass(), (example,), (["noisy"], ["clean"]), facts, axes)


def export_live(path: Path, weights: Path) -> None:
    """Write a live denoiser as ONNX in float32: samples in, samples out.

    Inputs `chunk` (1, 128) at 16 kHz and `state` (1, S), outputs `clean` (1, 128) and `next`
    (1, S); the state begins as zeros. Its size and the latency are in the metadata. Raises as
    `export` does.
    """
    _library()
    import torch

    from diff_audio.denoiser.live.portable import Portable
    from diff_audio.denoiser.live.stream import LiveDenoiser
    from diff_audio.sound.resample import CORE_RATE

    model = LiveDenoiser.from_pretrained(weights)
    portable, hop = Portable(model), model.spectral.hop
    facts = {
        "sample_rate": CORE_RATE,
        "chunk": hop,
        "state": portable.size,
        "latency": model.spectral.n_fft - hop,
    }
    examples = (torch.randn(1, hop), torch.zeros(1, portable.size))
    _write(path, portable, examples, (["chunk", "state"], ["clean", "next"]), facts)


def _library() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise ImportError(
            "ONNX export needs the library onnx: pip install 'diff-audio[onnx]'"
        ) from error
    return onnx


def _write(
    path: Path,
    module: Any,
    examples: tuple[Any, ...],
    names: tuple[list[str], list[str]],
    facts: dict[str, Any],
    axes: dict[str, dict[int, str]] | None = None,
) -> None:
    """Trace a module on examples, and write it with its metadata, whole or not at all."""
    import torch

    from diff_core.files import replacing

    onnx = _library()
    with replacing(path) as temporary:
        torch.onnx.export(
            module.eval(),
            examples,
            str(temporary),
            input_names=names[0],
            output_names=names[1],
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,  # its exporter needs onnxscript, and fixes the batch of a layer norm
        )
        written = onnx.load(str(temporary))
        onnx.helper.set_model_props(written, {k: json.dumps(v) for k, v in facts.items()})
        onnx.checker.check_model(written)
        onnx.save(written, str(temporary))


@app.command(
    examples={
        "denoise.onnx": "Write the network of the package.",
        "mine.onnx --weights runs/mine/denoise.safetensors": "Write a network of your own.",
        "live.onnx --live --weights run/live.safetensors": "Write a live denoiser.",
    }
)
def command(
    output: Annotated[Path, typer.Argument(metavar="OUT.onnx", help="File to write.")],
    weights: options.Weights = None,
    live: Annotated[
        bool,
        typer.Option(
            "--live",
            help="Write a live denoiser: samples and a state in, samples and a state out.",
        ),
    ] = False,
    overwrite: options.Overwrite = False,
    debug: options.Debug = False,
) -> int:
    """Write the one-pass denoising network as ONNX; needs the extra `onnx` of diff-audio.

    Exit code: 0 done, 1 failed, 2 wrong usage.
    """
    require_new(output, overwrite=overwrite)
    failures = Failures(COMMAND, debug=debug)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        if live:
            if weights is None and not path_of("live").exists():
                raise ValueError(NONE)
            export_live(output, weights or path_of("live"))
        else:
            export(output, weights)
    except (ImportError, OSError, ValueError) as error:
        # explain() takes an ImportError for a fault of ours
        failures.add(str(output), str(error) if isinstance(error, ImportError) else error)
        return 1
    print_line(f"{output}  ({output.stat().st_size / 1e6:.1f} MB)")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
