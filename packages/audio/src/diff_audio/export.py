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
from typing import Annotated

import typer

from diff_core.command import App, Failures, options, require_new, run
from diff_core.lines import print_line

__all__ = ["app", "export", "main"]

COMMAND = "diff_audio.export"
OPSET = 18
FRAMES = 64  # of the example that is traced; the file takes any number

app = App()


def export(path: Path, weights: Path | None = None) -> None:
    """Write the network of a checkpoint, None for the package's, as ONNX in float32.

    Input `noisy` and output `clean`, (batch, 2, bins, frames). Raises ImportError without the
    extra diff-audio[onnx], ValueError for a checkpoint that cannot be used.
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError(
            "ONNX export needs the library onnx: pip install 'diff-audio[onnx]'"
        ) from error
    import torch
    from torch import Tensor, nn

    from diff_audio.denoiser.denoiser import Denoiser
    from diff_audio.sound.level import TARGET_DB
    from diff_audio.sound.resample import CORE_RATE
    from diff_core.condition import Condition
    from diff_core.files import replacing

    model = Denoiser.from_pretrained(weights, device="cpu")
    spectral = model.spectral

    class OnePass(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.denoiser = model.denoiser.float()

        def forward(self, noisy: Tensor) -> Tensor:
            return self.denoiser(noisy, torch.ones(()), Condition(channels=noisy))

    example = torch.randn(1, 2, spectral.bins, FRAMES)
    with replacing(path) as temporary:
        torch.onnx.export(
            OnePass().eval(),
            (example,),
            str(temporary),
            input_names=["noisy"],
            output_names=["clean"],
            dynamic_axes={name: {0: "batch", 3: "frames"} for name in ("noisy", "clean")},
            opset_version=OPSET,
            dynamo=False,  # its exporter needs onnxscript, and fixes the batch of a layer norm
        )
        written = onnx.load(str(temporary))
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
        onnx.helper.set_model_props(written, {k: json.dumps(v) for k, v in facts.items()})
        onnx.checker.check_model(written)
        onnx.save(written, str(temporary))


@app.command(
    examples={
        "denoise.onnx": "Write the network of the package.",
        "mine.onnx --weights runs/mine/denoise.safetensors": "Write a network of your own.",
    }
)
def command(
    output: Annotated[Path, typer.Argument(metavar="OUT.onnx", help="File to write.")],
    weights: options.Weights = None,
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
